"""Adapter for Piston servers."""

from balancer.sandbox.http.hook import executor_hook

__all__ = ["balancer_executors"]

balancer_executors = executor_hook(
    "piston+http",
    "piston+https",
    executor="balancer.sandbox.piston.executor:PistonExecutor",
    summary="runs programs on a Piston server",
)
