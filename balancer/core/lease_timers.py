"""Lease timers: when a lease expires, and when it counts as forgotten."""

from collections.abc import Iterator
from math import inf

from balancer.core.live_heap import LiveHeap
from balancer.endpoint import Lease

__all__ = ["LeaseTimers"]


class LeaseTimers:
    """The due times of the leases that are out; O(log n) each, amortised.

    Whether a lease has ended is its account's to say here: `Lease.ended` may look at a clock, which makes ends. An
    ended lease stays in the heap until it is due, or a sweep, so that its end costs nothing.
    """

    def __init__(self) -> None:
        self._due: LiveHeap[tuple[Lease, bool]] = LiveHeap(lambda entry: entry[2][0].account is not None)

    @property
    def due_s(self) -> float:
        """When the next lease is due; inf: never."""
        first = self._due.first()
        return inf if first is None else first[0]

    def add(self, lease: Lease, now: float) -> None:
        """Add the due times of `lease`, if it has any: when it expires, and when it counts as forgotten."""
        if lease.terms is not None:
            for after_s, is_over in ((lease.terms.ttl_s, True), (lease.terms.leak_after_s, False)):
                if after_s < inf:
                    self._due.push(now + after_s, (lease, is_over))

    def take_due(self, now: float) -> Iterator[tuple[Lease, bool]]:
        """Remove what is due at `now`. Yield each lease that is still out, and whether it expires."""
        while (first := self._due.first()) is not None and first[0] <= now:
            yield first[2]  # yielded before it is removed: after an interrupt the lease is still due
            self._due.remove_first(first)
