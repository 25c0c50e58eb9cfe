"""The executors of a config: one for each of its endpoints, made by the plugin that serves the scheme of the URL.

Must not know what is run on them.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.plugins.registry import Registry
from balancer.program import Executor, ExecutorOptions
from balancer.sandbox.trial import runs
from balancer.settings.config import Config

__all__ = ["executor_maker", "languages_of", "make_executors"]

_AT_ONCE = 32


def make_executors(config: Config, registry: Registry, cache: Path) -> dict[str, Executor]:
    """Return an executor for each endpoint, by its name; the scheme of its URL says which.

    Raises:
        ConfigError: no plugin serves a scheme, or an executor cannot work here.
        MissingExtra: an executor needs an optional extra.
    """
    executors: dict[str, Executor] = {}
    make = executor_maker(registry, cache, config)
    mistakes: dict[str, None] = {}  # in order; those of a range of URLs are told once
    with ExitStack() as made:
        for entry in config.endpoints:
            for endpoint in entry.specs:
                try:
                    executor = make(endpoint)
                except ConfigError as error:
                    mistakes |= dict.fromkeys(error.problems)
                    break  # it is the same with the others of the entry
                executors[endpoint.name] = executor
                made.callback(executor.close)
        if mistakes:
            raise ConfigError(mistakes)
        made.pop_all()  # all went well: they are the caller's to close
    return executors


def executor_maker(registry: Registry, cache: Path, config: Config | None = None) -> Callable[[Endpoint], Executor]:
    """Return what makes the executor of an endpoint of a pool, whoever knows it.

    Args:
        registry: the plugins.
        cache: where programs are kept that were compiled on this machine.
        config: what it says of an endpoint of the same name counts, as far as its executor is concerned.
    """
    known = {name: language.item for name, language in registry.languages.items()}
    entries = {each.identity: entry for entry in config.endpoints for each in entry.specs} if config else {}

    def make(endpoint: Endpoint) -> Executor:
        """Make one. Raises ConfigError, MissingExtra."""
        entry = entries.get(endpoint.identity)
        allowed = frozenset(entry.languages) if entry is not None and entry.languages is not None else None
        isolation = entry.isolation if entry is not None else "auto"
        scheme = endpoint.url.partition("://")[0].lower()
        try:
            plugin = registry.find(scheme, registry.executors, "endpoint scheme")
        except ConfigError as error:
            if config is None or entry is None:
                raise
            raise config.located(f"endpoint {endpoint.name}", error) from None
        return plugin.make(endpoint.url, ExecutorOptions(isolation, endpoint.headers, str(cache), allowed, known))

    return make


def languages_of(executors: Mapping[str, Executor], among: Iterable[str] | None = None) -> frozenset[str]:
    """Return the languages that some endpoint runs; all are asked at once, as one that is dead takes its time.

    Args:
        executors: one for each endpoint.
        among: the languages that matter; None: all. To find out about one, an endpoint may have to try it.
    """
    if not executors:
        return frozenset()
    wanted = None if among is None else frozenset(among)

    def known(executor: Executor) -> frozenset[str]:
        return executor.languages if wanted is None else frozenset(name for name in wanted if runs(executor, name))

    with ThreadPoolExecutor(min(len(executors), _AT_ONCE), thread_name_prefix="languages") as threads:
        return frozenset[str]().union(*threads.map(known, executors.values()))
