"""Earliest deadline first (EDF) in virtual time: the next node, by weight.

With every leased slot, the deadline of a node moves on by a period, 1 / its weight. So a weight of 2:1 gives shares of
2:1 in every short window (the scheduler of Envoy and gRPC, gRFC A58). Virtual time is exact, but deadlines are sorted
by ticks of at most 1/64 of the shortest period. Shares do not depend on the order within a tick. So finding the next of
many nodes with about equal weights costs as little as among few.

An interrupt may come after any call, and must not lose other nodes. So a tick is put into the heap before it has nodes,
an empty tick is removed only when it comes first or in a sweep, and a tick may be in the heap twice.
"""

from heapq import heappop, heappush
from math import frexp, ldexp
from typing import Final, Generic, TypeVar

from balancer.strategy import Node, Request

__all__ = ["Deadline", "Deadlines", "bounded"]

# Virtual time moves on by 1 / weight. A double of 1e9 can still tell steps of 1e-7 apart.
_LEAST_WEIGHT: Final = 1e-9
_MOST_WEIGHT: Final = 1e9

_TICKS: Final = 64
_FEW: Final = 64  # fewer empty ticks are not worth a sweep


def bounded(weight: float) -> float:
    """Return `weight`, limited to 1e-9 to 1e9."""
    return min(max(weight, _LEAST_WEIGHT), _MOST_WEIGHT)


class Deadline:
    """The deadline of a node. It is the node's note; subclass it to note more.

    Attributes:
        node: the node.
        weight: gives its period, 1 / weight; it is `bounded`.
        due: its deadline, in virtual time.
        queued: whether it may be picked.
    """

    __slots__ = ("due", "node", "queued", "weight")

    def __init__(self, node: Node, weight: float) -> None:
        self.node = node
        self.weight = bounded(weight)
        self.due = 0.0
        self.queued = False


D = TypeVar("D", bound=Deadline)


class Deadlines(Generic[D]):
    """The nodes that may be picked, by deadline. Within a tick, first in, first out.

    A pick is the earliest one, which then is moved on:

        deadline = deadlines.first(request)
        deadlines.count(deadline, slots, deadline.weight)
    """

    def __init__(self) -> None:
        self._due: dict[int, list[D]] = {}
        self._ticks: list[int] = []  # a heap
        self._sweep_at = _FEW
        self._now = 0  # the last tick that a node was picked from
        self._heaviest = 0.0  # the heaviest weight so far, rounded up to a power of two
        self._per_unit = 1.0  # ticks in a unit of virtual time

    def start(self, deadline: D, phase: float) -> None:
        """Set its first deadline to a part `phase` (0..1) of its period. So many pools do not run in step."""
        self.refine(deadline.weight)
        deadline.due = self._now / self._per_unit + phase / deadline.weight
        self.settle(deadline)

    def settle(self, deadline: D) -> None:
        """Queue it if its node has a free slot, else drop it; O(log N), or O(due in one tick) for a drop."""
        if deadline.node.in_flight < deadline.node.limit:
            if not deadline.queued:
                self.queue(deadline)
        else:
            self.drop(deadline)

    def reweigh(self, deadline: D, weight: float) -> None:
        """Set a weight that takes effect at once: the rest of its period is scaled. Then settle it."""
        weight = bounded(weight)
        if weight != deadline.weight:
            self.refine(weight)
            self.drop(deadline)
            now = self._now / self._per_unit
            deadline.due = now + max(0.0, deadline.due - now) * deadline.weight / weight
            deadline.weight = weight
        self.settle(deadline)

    def refine(self, weight: float) -> None:
        """Make ticks short enough for this weight; O(1), or O(N log N) if it is twice the heaviest."""
        if weight <= self._heaviest:
            return
        heaviest = ldexp(1.0, frexp(weight)[1])
        per_unit = _TICKS * heaviest
        due: dict[int, list[D]] = {}
        for tick in sorted(self._due):
            for deadline in self._due[tick]:
                due.setdefault(int(deadline.due * per_unit), []).append(deadline)
        ticks, now = sorted(due), int(self._now / self._per_unit * per_unit)
        self._heaviest, self._per_unit, self._due, self._ticks, self._now = heaviest, per_unit, due, ticks, now

    def first(self, request: Request) -> D | None:
        """Remove and return the earliest one that `request` fits, or None; O(log N) for an open request.

        A node that was full for long is due at once, but it does not get the missed slots later.
        """
        if not request.open:
            return self._first_that_fits(request)
        ticks = self._ticks
        while ticks:
            tick = ticks[0]
            deadlines = self._due.get(tick)
            if deadlines:
                return self._taken(deadlines[0], tick)
            self._due.pop(tick, None)
            heappop(ticks)
        return None

    def queue(self, deadline: D) -> None:
        """Queue it by its deadline; O(log N)."""
        tick = int(deadline.due * self._per_unit)
        deadlines = self._due.get(tick)
        if deadlines is None:
            heappush(self._ticks, tick)
            self._due[tick] = [deadline]
            deadline.queued = True
        else:
            deadline.queued = True
            deadlines.append(deadline)

    def _sweep(self) -> None:
        """Remove the empty ticks: requests with labels leave one behind with each pick."""
        due = {tick: deadlines for tick, deadlines in self._due.items() if deadlines}
        ticks, sweep_at = sorted(due), 2 * len(due) + _FEW
        self._due, self._ticks, self._sweep_at = due, ticks, sweep_at

    def drop(self, deadline: D) -> None:
        """Remove it if it is queued; O(due in the same tick)."""
        if deadline.queued:
            deadlines = self._due[int(deadline.due * self._per_unit)]
            deadline.queued = False
            deadlines.remove(deadline)
            if len(self._ticks) > self._sweep_at:
                self._sweep()

    def _first_that_fits(self, request: Request) -> D | None:
        for tick in sorted(self._due):
            for deadline in self._due[tick]:
                if request.fits(deadline.node):
                    return self._taken(deadline, tick)
        return None

    def _taken(self, deadline: D, tick: int) -> D:
        """Drop it. Virtual time is at least its tick from now on, and it is due no earlier than that."""
        self.drop(deadline)
        self._now = max(self._now, tick)
        deadline.due = max(deadline.due, self._now / self._per_unit)
        return deadline

    def count(self, deadline: D, slots: int, weight: float) -> None:
        """Move a deadline on by the periods of so many leased slots; queue it if its node has another free one."""
        deadline.due += slots / weight
        if deadline.node.in_flight + slots < deadline.node.limit:
            self.queue(deadline)
