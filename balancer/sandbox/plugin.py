"""The executors that come with the package, offered through the same hook as anybody else's."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.sandbox.fusion.executor import FusionExecutor
from balancer.sandbox.local.executor import LocalExecutor

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executors for local:// and http(s):// endpoints."""
    return (
        ExecutorPlugin(("local",), LocalExecutor, "runs programs isolated on this machine"),
        ExecutorPlugin(("http", "https"), FusionExecutor, "runs programs on a SandboxFusion server"),
    )
