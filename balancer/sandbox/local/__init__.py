"""Executor for programs on this machine, isolated."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.program import Executor, ExecutorOptions

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for local:// endpoints."""
    return (ExecutorPlugin(("local",), _make, "runs programs isolated on this machine"),)


def _make(url: str, options: ExecutorOptions) -> Executor:
    from balancer.sandbox.local.executor import LocalExecutor

    return LocalExecutor(url, options)
