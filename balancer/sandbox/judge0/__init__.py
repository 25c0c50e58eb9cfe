"""Adapter for Judge0 servers."""

from balancer.sandbox.http.hook import executor_hook

__all__ = ["balancer_executors"]

balancer_executors = executor_hook(
    "judge0+http",
    "judge0+https",
    executor="balancer.sandbox.judge0.executor:Judge0Executor",
    summary="runs programs on a Judge0 server",
)
