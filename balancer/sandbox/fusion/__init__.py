"""Adapter for servers with SandboxFusion's API: SandboxFusion itself, and `balancer sandbox`."""

from balancer.sandbox.http.hook import executor_hook

__all__ = ["balancer_executors"]

balancer_executors = executor_hook(
    "http",
    "https",
    executor="balancer.sandbox.fusion.executor:FusionExecutor",
    summary="runs programs on a SandboxFusion server",
)
