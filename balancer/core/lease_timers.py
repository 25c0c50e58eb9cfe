"""Lease timers: when a lease expires, and when it counts as forgotten.

Decides which leases are due at an instant. It must not know what becomes of them: the core ends those that are over.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf

from balancer.endpoint import Lease

__all__ = ["LeaseTimers"]

_FEWEST = 64  # entries below which sweeping is not worth it


class LeaseTimers:
    """The instants at which the leases that are out have something due; O(log n) each, amortised.

    A lease that ends stays in the book until its instant comes or the book is swept, so that a lease's end costs
    nothing; the book holds at most twice as many as are out, and some.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, bool, Lease]] = []  # when, id, whether it is over then, lease
        self._sweep_at = _FEWEST

    @property
    def due_s(self) -> float:
        """When something is due next; `inf`: never."""
        due = self._due
        while due and due[0][3].ended:
            heappop(due)
        return due[0][0] if due else inf

    def add(self, lease: Lease, now: float) -> None:
        """Write down when `lease`, which has terms, is over and when it counts as forgotten."""
        if lease.terms is None:
            return
        if len(self._due) >= self._sweep_at:
            self._due = [entry for entry in self._due if not entry[3].ended]
            heapify(self._due)
            self._sweep_at = 2 * len(self._due) + _FEWEST
        for after_s, is_over in ((lease.terms.ttl_s, True), (lease.terms.leak_after_s, False)):
            if after_s < inf:
                heappush(self._due, (now + after_s, lease.id, is_over, lease))

    def take_due(self, now: float) -> Iterator[tuple[Lease, bool]]:
        """Take out what is due at `now` and yield each lease that is still out, and whether it is over."""
        while self._due and self._due[0][0] <= now:
            entry = self._due[0]
            _, _, is_over, lease = entry
            if not lease.ended:
                yield lease, is_over  # before it is taken out: an interrupt must not make it last for ever
            if self._due and self._due[0] is entry:
                heappop(self._due)
