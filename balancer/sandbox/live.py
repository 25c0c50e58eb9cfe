"""Executors that follow a pool's endpoints, which come and go while programs are judged.

Decides which endpoints are asked to run programs: those with the labels, for the others may be something else. An
executor that has been made is kept until all are closed, for a run may still be under way. It must not know what is
run.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping

from balancer.core.events import Added, Event, Removed
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.pool.pool import Pool
from balancer.program import Executor

__all__ = ["LiveExecutors"]

_LOGGER = logging.getLogger("balancer")


class LiveExecutors(Mapping[str, Executor]):
    """An executor for each endpoint that is in the pool now, by its name. Thread-safe.

    Args:
        pool: whose endpoints they are of.
        labels: what an endpoint must have.
        make: makes an executor; what it raises of an endpoint that comes later is logged, and that one is left out.
        made: those that are there already; they are closed with the others.

    Raises:
        BalancerError: as `make` does, of an endpoint that is there from the start.
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
        self._left: list[Executor] = []  # of endpoints that are others now
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
                _LOGGER.warning("no program is judged on %s: %s", endpoint.name, error)
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
        if name not in found:  # it was leased before its coming was told, or has gone and is leased still
            self._stale = True
            found = self._current()
        return found[name] if name in found else self._made[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def close(self) -> None:
        """Close all executors that were made, and hear no more of the pool."""
        self._observation.end()
        for executor in (*self._given.values(), *(executor for _, executor in self._made.values()), *self._left):
            executor.close()
