"""The plugin hook of an adapter: which URL schemes it serves, and where its executor is.

The HTTP client of the executors is an optional extra, so an executor is imported when one is made.
"""

from collections.abc import Callable
from importlib import import_module

from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Executor, ExecutorOptions

__all__ = ["executor_hook"]


def executor_hook(*schemes: str, executor: str, summary: str) -> Callable[[], tuple[ExecutorPlugin, ...]]:
    """Return the hook `balancer_executors` of an adapter.

    Args:
        schemes: of the URLs that it serves.
        executor: "module:class" of its `ServerExecutor`.
        summary: one line for people.
    """

    def make(url: str, options: ExecutorOptions) -> Executor:
        require("judge", f"an executor for {schemes[0]}:// endpoints")
        module, _, name = executor.partition(":")
        made: Executor = getattr(import_module(module), name)(url, options)
        return made

    @hookimpl
    def balancer_executors() -> tuple[ExecutorPlugin, ...]:
        return (ExecutorPlugin(schemes, make, summary),)

    return balancer_executors
