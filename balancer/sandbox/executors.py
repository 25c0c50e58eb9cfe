"""The executors of a config: one for each of its endpoints, made by the plugin that serves the scheme of the URL.

Must not know what is run on them.
"""

from contextlib import ExitStack
from pathlib import Path

from balancer.errors import ConfigError
from balancer.plugins.registry import Registry
from balancer.program import Executor, ExecutorOptions
from balancer.settings.config import Config

__all__ = ["make_executors"]


def make_executors(config: Config, registry: Registry, cache: Path) -> dict[str, Executor]:
    """Return an executor for each endpoint, by its name; the scheme of its URL says which.

    Raises:
        ConfigError: no plugin serves a scheme, or an executor cannot work here.
        MissingExtra: an executor needs an optional extra.
    """
    executors: dict[str, Executor] = {}
    with ExitStack() as made:
        for endpoint, isolation in [(each, entry.isolation) for entry in config.endpoints for each in entry.specs]:
            scheme = endpoint.url.partition("://")[0].lower()
            try:
                plugin = registry.find(scheme, registry.executors, "endpoint scheme")
            except ConfigError as error:
                raise config.located(f"endpoint {endpoint.name}", error) from None
            executor = plugin.make(endpoint.url, ExecutorOptions(isolation, endpoint.headers, str(cache)))
            executors[endpoint.name] = executor
            made.callback(executor.close)
        made.pop_all()  # all went well: they are the caller's to close
    return executors
