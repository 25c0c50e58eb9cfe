"""Executors of a config or of a pool: one for each endpoint, made by the plugin that serves the scheme of its URL.

`LiveExecutors` follows the endpoints of a pool. Only endpoints with the required labels get an executor. An executor is
kept until all are closed, because a run may still be under way.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from balancer.core.events import Added, Event, Removed
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, ConfigError
from balancer.opening.pool import Pool
from balancer.plugins.registry import Registry
from balancer.program import Executor, ExecutorOptions
from balancer.sandbox.probes import runs
from balancer.settings.config import Config

__all__ = ["LiveExecutors", "executor_maker", "languages_of", "make_executors"]

_AT_ONCE = 32
_LOGGER = logging.getLogger("balancer")


def make_executors(config: Config, registry: Registry, cache: Path) -> dict[str, Executor]:
    """Return an executor for each endpoint, by name. The scheme of the URL selects the plugin.

    Raises:
        ConfigError: no plugin serves a scheme, or an executor cannot work here.
        MissingExtra: an executor needs an optional extra.
    """
    executors: dict[str, Executor] = {}
    make = executor_maker(registry, cache, config)
    mistakes: dict[str, None] = {}  # in order; a mistake of a range of URLs is reported once
    with ExitStack() as made:
        for entry in config.endpoints:
            for endpoint in entry.specs:
                try:
                    executor = make(endpoint)
                except ConfigError as error:
                    mistakes |= dict.fromkeys(error.problems)
                    break  # the other URLs of the entry have the same mistake
                executors[endpoint.name] = executor
                made.callback(executor.close)
        if mistakes:
            raise ConfigError(mistakes)
        made.pop_all()  # no mistake: the caller closes them
    return executors


def executor_maker(registry: Registry, cache: Path, config: Config | None = None) -> Callable[[Endpoint], Executor]:
    """Return a function that makes the executor of an endpoint of a pool.

    Args:
        registry: the plugins.
        cache: folder for programs that were compiled on this machine.
        config: its settings for an endpoint of the same name are used for the executor.
    """
    known = {name: language.item for name, language in registry.languages.items()}
    entries = {each.identity: entry for entry in config.endpoints for each in entry.specs} if config else {}

    def make(endpoint: Endpoint) -> Executor:
        """Make an executor. Raises ConfigError, MissingExtra."""
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
    """Return the languages that at least one endpoint runs. All endpoints are asked at once, as a dead one is slow to
    answer.

    Args:
        executors: one for each endpoint.
        among: the languages that matter; None: all. For each of them, an endpoint may have to try a program.
    """
    if not executors:
        return frozenset()
    wanted = None if among is None else frozenset(among)

    def known(executor: Executor) -> frozenset[str]:
        return executor.languages if wanted is None else frozenset(name for name in wanted if runs(executor, name))

    with ThreadPoolExecutor(min(len(executors), _AT_ONCE), thread_name_prefix="languages") as threads:
        return frozenset[str]().union(*threads.map(known, executors.values()))


class LiveExecutors(Mapping[str, Executor]):
    """An executor for each endpoint that is in the pool now, by name. Thread-safe.

    Args:
        pool: has the endpoints.
        labels: that an endpoint must have.
        make: makes an executor. If it fails for an endpoint that joins later, the error is logged and the endpoint left
            out.
        made: executors that exist already; they are closed with the others.

    Raises:
        BalancerError: `make` failed for an endpoint that is there from the start.
    """

    def __init__(
        self,
        pool: Pool,
        labels: frozenset[str],
        make: Callable[[Endpoint], Executor],
        made: Mapping[str, Executor] | None = None,
    ) -> None:
        self._pool = pool
        self._labels = labels
        self._make = make
        self._lock = threading.Lock()
        self._made: dict[str, tuple[Endpoint, Executor]] = {}
        self._left: list[Executor] = []  # of endpoints that have changed since
        self._given = dict(made or {})
        self._stale = False
        self._now: Mapping[str, Executor] = {}
        self._observation = pool.observe(self._hear, (Added, Removed))
        try:
            self._now = self._fresh(strict=True)
        except BaseException:
            self.close()
            raise

    def _hear(self, event: Event) -> None:
        self._stale = True

    def _current(self) -> Mapping[str, Executor]:
        if self._stale:
            with self._lock:
                self._stale = False
                self._now = self._fresh(strict=False)
        return self._now

    def _fresh(self, *, strict: bool) -> Mapping[str, Executor]:
        found: dict[str, Executor] = {}
        for endpoint in self._pool.endpoints():
            if not self._labels <= endpoint.labels:
                continue
            try:
                found[endpoint.name] = self._of(endpoint)
            except BalancerError as error:
                if strict:
                    raise
                _LOGGER.warning("%s judges no programs: %s", endpoint.name, error)
        return found

    def _of(self, endpoint: Endpoint) -> Executor:
        if endpoint.name in self._given:
            return self._given[endpoint.name]
        known, executor = self._made.get(endpoint.name, (None, None))
        if executor is None or known is None or (known.url, known.headers) != (endpoint.url, endpoint.headers):
            if executor is not None:
                self._left.append(executor)
            executor = self._make(endpoint)
            self._made[endpoint.name] = endpoint, executor
        return executor

    def __getitem__(self, name: str) -> Executor:
        found = self._current()
        if name not in found:  # leased before its event arrived, or removed while still leased
            self._stale = True
            found = self._current()
        return found[name] if name in found else self._made[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def close(self) -> None:
        """Close all executors, and stop to follow the pool."""
        self._observation.end()
        for executor in (*self._given.values(), *(executor for _, executor in self._made.values()), *self._left):
            executor.close()
