"""The executor for judge0+http:// and judge0+https:// endpoints, offered through the same hook as anybody else's."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Executor, ExecutorOptions

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for Judge0 servers."""
    return (ExecutorPlugin(("judge0+http", "judge0+https"), _make, "runs programs on a Judge0 server"),)


def _make(url: str, options: ExecutorOptions) -> Executor:
    require("judge", "an executor for judge0+http:// endpoints")
    from balancer.sandbox.judge0.executor import Judge0Executor

    return Judge0Executor(url, options)
