"""The executor for piston+http:// and piston+https:// endpoints, offered through the same hook as anybody else's."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Executor, ExecutorOptions

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for Piston servers."""
    return (ExecutorPlugin(("piston+http", "piston+https"), _make, "runs programs on a Piston server"),)


def _make(url: str, options: ExecutorOptions) -> Executor:
    require("judge", "an executor for piston+http:// endpoints")
    from balancer.sandbox.piston.executor import PistonExecutor

    return PistonExecutor(url, options)
