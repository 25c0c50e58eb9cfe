"""The executor for http:// and https:// endpoints, offered through the same hook as anybody else's.

Its HTTP client is an optional extra, so the executor is imported when one is made.
"""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Executor, ExecutorOptions

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for http:// and https:// endpoints."""
    return (ExecutorPlugin(("http", "https"), _make, "runs programs on a SandboxFusion server"),)


def _make(url: str, options: ExecutorOptions) -> Executor:
    require("judge", "an executor for http:// endpoints")
    from balancer.sandbox.fusion.executor import FusionExecutor

    return FusionExecutor(url, options)
