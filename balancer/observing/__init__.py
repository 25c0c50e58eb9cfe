"""Observers of a pool (traces, the live page, Prometheus, OpenTelemetry), and what they read of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from balancer.core.events import Event
from balancer.core.metrics import CallError
from balancer.core.readings import Snapshot

__all__ = ["WatchedPool"]


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
