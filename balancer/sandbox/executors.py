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
    """Return an executor for each endpoint URL, by the scheme of the URL.

    Raises:
        ConfigError: no plugin serves a scheme, or an executor cannot work here.
        MissingExtra: an executor needs an optional extra.
    """
    executors: dict[str, Executor] = {}
    with ExitStack() as made:
        for url, entry in config.by_url.items():
            try:
                plugin = registry.find(url.partition("://")[0].lower(), registry.executors, "endpoint scheme")
            except ConfigError as error:
                raise config.located(f"endpoint {url}", error) from None
            headers = {name: value.get_secret_value() for name, value in entry.headers.items()}
            executors[url] = plugin.make(url, ExecutorOptions(entry.isolation, headers, str(cache)))
            made.callback(executors[url].close)
        made.pop_all()  # all went well: they are the caller's to close
    return executors
