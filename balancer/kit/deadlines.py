"""Earliest deadline first (EDF) in virtual time: which node is next, by how much of its share it has had.

With every slot that is leased the time at which a node is due moves on by a period, 1 / its weight, so that a weight of
2:1 is 2:1 in every short window (the scheduler of Envoy and gRPC, gRFC A58). Virtual time is kept exactly and looked
at in ticks of 1/64 of the shortest period there was, or less. The order within a tick hardly shows, shares do not
depend on it, and finding the next of many nodes that weigh about the same costs what it costs among few.

An interrupt may come after any call, and must cost no other node than its own. So a tick is in the heap before
it has nodes, an empty one goes only when it comes first, and twice is no harm.
"""

from heapq import heappop, heappush
from math import frexp, ldexp
from typing import Final, Generic, TypeVar

from balancer.strategy import Node, Request

__all__ = ["Deadline", "Deadlines", "bounded"]

# Virtual time moves on by 1 / weight, and a double that has reached 1e9 still tells steps of 1e-7 apart.
_LEAST_WEIGHT: Final = 1e-9
_MOST_WEIGHT: Final = 1e9

_TICKS: Final = 64


def bounded(weight: float) -> float:
    """Return `weight`, or the nearest that has a period: from 1e-9 to 1e9."""
    return min(max(weight, _LEAST_WEIGHT), _MOST_WEIGHT)


class Deadline:
    """When a node is due. It is the node's note; subclass it to note more.

    Attributes:
        node: whose it is.
        weight: what its period follows from, 1 / weight; it is `bounded`.
        due: the virtual time at which it is due.
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
    """The nodes that may be picked, by when they are due; those of one tick first come, first served.

    Who picks one says when it is due next, by a period for each slot that it gives, and queues it if it has one left:

        deadline = deadlines.first(request)
        deadline.due += slots / deadline.weight
    """

    __slots__ = ("_due", "_heaviest", "_now", "_per_unit", "_ticks")

    def __init__(self) -> None:
        self._due: dict[int, list[D]] = {}
        self._ticks: list[int] = []  # a heap
        self._now = 0  # the latest tick that somebody was picked from
        self._heaviest = 0.0  # weight so far, rounded up to a power of two
        self._per_unit = 1.0  # ticks in a unit of virtual time

    def start(self, deadline: D, phase: float) -> None:
        """Let it be due after a part `phase` (0..1) of its period, so that many pools do not march in step."""
        self.refine(deadline.weight)
        deadline.due = self._now / self._per_unit + phase / deadline.weight
        self.settle(deadline)

    def settle(self, deadline: D) -> None:
        """Queue it if its node has a free slot, else drop it; O(log N), or O(due in one tick) to drop one."""
        if deadline.node.in_flight < deadline.node.limit:
            if not deadline.queued:
                self.queue(deadline)
        else:
            self.drop(deadline)

    def reweigh(self, deadline: D, weight: float) -> None:
        """Give it a weight that counts at once: what is left of its period shrinks or grows with it. Then settle it."""
        weight = bounded(weight)
        if weight != deadline.weight:
            self.refine(weight)
            self.drop(deadline)
            now = self._now / self._per_unit
            deadline.due = now + max(0.0, deadline.due - now) * deadline.weight / weight
            deadline.weight = weight
        self.settle(deadline)

    def refine(self, weight: float) -> None:
        """See that ticks are short for a node of this weight; O(1), but O(N log N) where it is twice the heaviest."""
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
        """Take out the one due first that `request` fits, or return None; O(log N) for an open request.

        One that was full for long is due at once, but is not owed what it could not give.
        """
        if not request.open:
            return self._first_that_fits(request)
        ticks = self._ticks
        while ticks:
            tick = ticks[0]
            deadlines = self._due.get(tick)
            if deadlines:
                deadline = deadlines[0]
                deadline.queued = False
                del deadlines[0]
                if tick > self._now:
                    self._now = tick
                elif tick < self._now:
                    deadline.due = self._now / self._per_unit
                return deadline
            self._due.pop(tick, None)
            heappop(ticks)
        return None

    def queue(self, deadline: D) -> None:
        """Queue it by when it is due; O(log N)."""
        tick = int(deadline.due * self._per_unit)
        deadlines = self._due.get(tick)
        if deadlines is None:
            heappush(self._ticks, tick)
            self._due[tick] = [deadline]
            deadline.queued = True
        else:
            deadline.queued = True
            deadlines.append(deadline)

    def drop(self, deadline: D) -> None:
        """Take it out, if it is queued; O(due in the same tick)."""
        if deadline.queued:
            deadlines = self._due[int(deadline.due * self._per_unit)]
            deadline.queued = False
            deadlines.remove(deadline)

    def _first_that_fits(self, request: Request) -> D | None:
        for tick in sorted(self._due):
            for deadline in self._due[tick]:
                if request.fits(deadline.node):
                    self.drop(deadline)
                    self._now = max(self._now, tick)
                    deadline.due = max(deadline.due, self._now / self._per_unit)
                    return deadline
        return None
