"""The executor for local:// endpoints, offered through the same hook as anybody else's."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.sandbox.local.executor import LocalExecutor

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for local:// endpoints."""
    return (ExecutorPlugin(("local",), LocalExecutor, "runs programs isolated on this machine"),)
