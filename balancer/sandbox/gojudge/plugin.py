"""The executor for gojudge+http:// and gojudge+https:// endpoints, offered through the same hook as anybody else's."""

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Executor, ExecutorOptions

__all__ = ["balancer_executors"]


@hookimpl
def balancer_executors() -> tuple[ExecutorPlugin, ...]:
    """Return the executor for go-judge servers."""
    return (ExecutorPlugin(("gojudge+http", "gojudge+https"), _make, "runs programs on a go-judge server"),)


def _make(url: str, options: ExecutorOptions) -> Executor:
    require("judge", "an executor for gojudge+http:// endpoints")
    from balancer.sandbox.gojudge.executor import GoJudgeExecutor

    return GoJudgeExecutor(url, options)
