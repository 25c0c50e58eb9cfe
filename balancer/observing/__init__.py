"""Observers of a pool (traces, the page, Prometheus, OpenTelemetry): what they read, and what the page changes."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from balancer.core.events import Event
from balancer.core.metrics import CallError
from balancer.core.readings import Snapshot
from balancer.endpoint import Endpoint

__all__ = ["PoolAdmin", "WatchedPool"]


class WatchedPool(Protocol):
    """The part of a pool that is read."""

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return the pool at one instant."""
        ...

    def last_errors(self, url: str) -> Sequence[CallError]:
        """Return the last failures and overloads of an endpoint, oldest first. Raises UnknownEndpoint."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Returns the time in seconds."""
        ...

    def observe(self, observer: Any, kinds: Iterable[type[Event]] | None = None) -> Any:
        """Call an observer with each event."""
        ...


class PoolAdmin(Protocol):
    """What the page may change of a pool. All of these may raise BalancerError."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining."""
        ...

    def add(self, endpoint: Endpoint | str) -> None:
        """Take an endpoint into service."""
        ...

    def drain(self, url: str) -> None:
        """Grant no new leases of an endpoint."""
        ...
