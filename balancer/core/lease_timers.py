"""Lease timers: when a lease expires, and when it counts as forgotten."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf

from balancer.endpoint import Lease

__all__ = ["LeaseTimers"]

_FEWEST = 64  # with fewer entries a sweep is not worth it


class LeaseTimers:
    """The due times of the leases that are out; O(log n) each, amortised.

    Whether a lease has ended is its account's to say here: `Lease.ended` may look at a clock, which makes ends.

    An ended lease stays in the heap until it is due or the heap is swept, so that its end costs nothing. The heap has
    at most twice as many entries as there are leases out, and a few more.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, bool, Lease]] = []  # time, id, whether the lease expires then, lease
        self._sweep_at = _FEWEST

    @property
    def due_s(self) -> float:
        """When the next lease is due; inf: never."""
        due = self._due
        while due and due[0][3].account is None:
            heappop(due)
        return due[0][0] if due else inf

    def add(self, lease: Lease, now: float) -> None:
        """Add the due times of `lease`, which must have `terms`."""
        if lease.terms is None:
            return
        if len(self._due) >= self._sweep_at:
            self._due = [entry for entry in self._due if entry[3].account is not None]
            heapify(self._due)
            self._sweep_at = 2 * len(self._due) + _FEWEST
        for after_s, is_over in ((lease.terms.ttl_s, True), (lease.terms.leak_after_s, False)):
            if after_s < inf:
                heappush(self._due, (now + after_s, lease.id, is_over, lease))

    def take_due(self, now: float) -> Iterator[tuple[Lease, bool]]:
        """Remove what is due at `now`. Yield each lease that is still out, and whether it expires."""
        while self._due and self._due[0][0] <= now:
            entry = self._due[0]
            _, _, is_over, lease = entry
            if lease.account is not None:
                yield lease, is_over  # yielded before it is removed: after an interrupt the lease is still due
            if self._due and self._due[0] is entry:
                heappop(self._due)
