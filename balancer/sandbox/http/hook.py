"""Plugin hook of an adapter: its URL schemes and its executor.

An executor is imported only when one is made, because its HTTP client is an optional extra.
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
        schemes: the URL schemes that it serves.
        executor: "module:class" of its `ServerExecutor`.
        summary: one line of text.
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
