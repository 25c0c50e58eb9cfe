"""The queue of waiters: order, deadlines, cancellation.

A freed slot goes to the waiter with the oldest claim, of those that may use it. The queue gives candidates, the best
first. With fair shares between holders (`balancer.core.fairness`), `FairQueue` puts the holders in order first.

A claim is the time when a waiter arrived, less `PRIORITY_WORTH_S` for each level of priority. So of waiters that arrive
together, the one with the higher priority goes first. No waiter starves: a claim never changes, not even when its
waiter asks for something else, so waiters that arrive late enough come behind it at any priority.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterator
from heapq import heapify, heappop, heapreplace
from itertools import count, takewhile

from balancer.core.fairness import FairShares, HolderAccount
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.strategy import Request

__all__ = ["PRIORITY_WORTH_S", "FairQueue", "WaitQueue", "Waiter", "WaiterGroup"]

PRIORITY_WORTH_S = 10.0


class Waiter:
    """A queued acquire. It ends once, with a lease or an error. Its queue fills in a blank object, as with `Lease`.

    Attributes:
        request: what it asks for.
        since_s, deadline_s: when it arrived, and when it gives up (inf: never).
        lease, error: how it ended; both None while it waits.
        wake: the shell's function, called outside its lock after the end.
    """

    __slots__ = ("deadline_s", "error", "group", "lease", "request", "since_s", "ticket", "wake")

    group: "WaiterGroup"
    request: Request  # equals that of the group, but for the key
    since_s: float
    deadline_s: float
    ticket: int
    wake: Callable[[], object]
    lease: Lease | None
    error: BalancerError | None

    @property
    def place(self) -> tuple[float, int]:
        """Its place in its group: the time of its arrival, then its ticket."""
        return self.since_s, self.ticket

    @property
    def ended(self) -> bool:
        """True once it has a lease or an error."""
        return self.lease is not None or self.error is not None


class WaiterGroup:
    """Waiters with the same request and priority, in the order of arrival, which is that of their claims.

    Attributes:
        name: its key in the queue.
        request, priority: of its waiters.
        waiters: the oldest claim first.
    """

    __slots__ = ("holder", "name", "priority", "request", "waiters")

    holder: HolderAccount  # whose calls they are; set only in a pool with fair shares

    def __init__(self, name: Hashable, request: Request, priority: int) -> None:
        self.name = name
        self.request = request
        self.priority = priority
        # OrderedDict, not dict: a dict rescans the deleted slots at its front on every look.
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()

    @property
    def head(self) -> Waiter:
        """The waiter with the oldest claim."""
        return next(iter(self.waiters))

    @property
    def claim(self) -> tuple[float, int]:
        """The claim of the head, then its ticket."""
        head = self.head
        return head.since_s - self.priority * PRIORITY_WORTH_S, head.ticket


class WaitQueue:
    """Waiters, grouped by request and priority, so that a freed slot looks at groups and not at waiters.

    `push` and `discard` cost O(1); `candidates` O(groups); `amend` O(waiters of its new group).

    Attributes:
        size: how many wait. Read only.
        groups: by their names.
    """

    def __init__(self) -> None:
        self.groups: dict[Hashable, WaiterGroup] = {}
        self._latest: WaiterGroup | None = None  # the group of the last waiter: nearly always the next one joins it
        self._tickets = count()
        self.size = 0

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for group in self.groups.values() for waiter in group.waiters)

    def group_of(self, request: Request, priority: int) -> WaiterGroup:
        """Return the group of these waiters; a new one if there is none."""
        name = request, priority
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = WaiterGroup(name, request, priority)
        return group

    def asked(self, request: Request) -> bool:
        """Return whether the group of the last waiter asks for `request`, and has waiters."""
        group = self._latest
        return group is not None and group.request is request and bool(group.waiters)

    def sole_head(self) -> Waiter | None:
        """Return the waiter with the oldest claim, if there is only one group; else None."""
        if len(self.groups) == 1:
            for group in self.groups.values():
                for head in group.waiters:
                    return head
        return None

    def push(
        self, request: Request, since_s: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Add a new waiter at the end of its group."""
        group = self._latest
        if group is None or group.request is not request or group.priority != priority or not group.waiters:
            group = self._latest = self.group_of(request, priority)
        waiter = Waiter()
        waiter.group = group
        waiter.request = request
        waiter.since_s = since_s
        waiter.deadline_s = deadline_s
        waiter.ticket = next(self._tickets)
        waiter.wake = wake
        waiter.lease = waiter.error = None
        group.waiters[waiter] = None
        self.size += 1
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> None:
        """Change the request of `waiter`. Its claim stays, so it is before all that came after it."""
        before = waiter.group
        group = self.group_of(request, before.priority)
        place = waiter.place
        younger = list(takewhile(lambda other: other.place > place, reversed(group.waiters)))
        del before.waiters[waiter]
        waiter.group, waiter.request = group, request
        group.waiters[waiter] = None
        for other in reversed(younger):
            group.waiters.move_to_end(other)
        if not before.waiters:
            del self.groups[before.name]

    def discard(self, waiter: Waiter) -> None:
        """Remove `waiter`."""
        group = waiter.group
        del group.waiters[waiter]
        if not group.waiters:
            del self.groups[group.name]
        self.size -= 1

    def mend(self, waiting: Container[Waiter]) -> None:
        """Leave only the waiters in `waiting`, in order, after an interrupt in the middle of a call; O(n log n)."""
        for name, group in list(self.groups.items()):
            left = sorted((waiter for waiter in group.waiters if waiter in waiting), key=lambda waiter: waiter.place)
            group.waiters = OrderedDict.fromkeys(left)
            if not left:
                del self.groups[name]
        self._latest = None
        self.size = sum(len(group.waiters) for group in self.groups.values())

    def requests(self) -> list[Request]:
        """Return the requests that are waited for, without repetition."""
        return list(dict.fromkeys(group.request for group in self.groups.values()))

    def asking(self, request: Request) -> list[Waiter]:
        """Return the waiters with exactly this request."""
        return [waiter for waiter in self if waiter.request == request]

    def candidates(self, now: float) -> Iterator[Waiter]:
        """Yield waiters for a free slot at `now`, oldest claim first.

        Before the next one, the caller discards the waiter (it was served or timed out) or leaves it. One that is left
        could use no free slot, so the rest of its group is skipped.
        """
        heads = [(group.claim, group) for group in self.groups.values()]
        heapify(heads)  # no two claims are equal, so groups are never compared
        while heads:
            group = heads[0][1]
            head = group.head
            yield head
            if not group.waiters or group.head is head:
                heappop(heads)
            else:
                heapreplace(heads, (group.claim, group))


class FairQueue(WaitQueue):
    """Waiters of several holders: the holder with the least service is next, and of its waiters the oldest claim.

    So a priority moves a call before other calls of its holder only. A holder with as many leases as it may have is
    passed over. `candidates` costs O(groups), of which each holder has its own.

    Args:
        shares: say which holder is next.
    """

    def __init__(self, shares: FairShares) -> None:
        super().__init__()
        self._shares = shares

    def group_of(self, request: Request, priority: int) -> WaiterGroup:
        """Return the group of these waiters of one holder; a new one if there is none."""
        holder = self._shares.of(request)
        name = request, priority, holder.name
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = WaiterGroup(name, request, priority)
            group.holder = holder
        return group

    def sole_head(self) -> Waiter | None:
        """Return the waiter with the oldest claim, if there is only one group and its holder may have a lease."""
        head = super().sole_head()
        return None if head is None or head.group.holder.is_full else head

    def push(
        self, request: Request, since_s: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Add a new waiter at the end of its group."""
        waiter = super().push(request, since_s, deadline_s, priority, wake)
        holder = waiter.group.holder
        if not holder.waiting:
            self._shares.arrived(holder, since_s)
        holder.waiting += 1
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> None:
        """Change the request of `waiter`; see `WaitQueue.amend`."""
        waiter.group.holder.waiting -= 1
        super().amend(waiter, request)
        waiter.group.holder.waiting += 1

    def discard(self, waiter: Waiter) -> None:
        """Remove `waiter`."""
        super().discard(waiter)
        waiter.group.holder.waiting -= 1

    def mend(self, waiting: Container[Waiter]) -> None:
        """Leave only the waiters in `waiting`; see `WaitQueue.mend`."""
        super().mend(waiting)
        self._shares.clear_waiting()
        for group in self.groups.values():
            group.holder.waiting += len(group.waiters)

    def candidates(self, now: float) -> Iterator[Waiter]:
        """Yield waiters for a free slot at `now`; see `WaitQueue.candidates`."""
        of_holder: dict[HolderAccount, list[tuple[tuple[float, int], WaiterGroup]]] = {}
        for group in self.groups.values():
            if not group.holder.is_full:
                of_holder.setdefault(group.holder, []).append((group.claim, group))
        turns = []
        for holder, heads in of_holder.items():
            heapify(heads)
            turns.append((self._shares.turn(holder, now), heads[0][0], holder, heads))
        heapify(turns)  # no two claims are equal, so holders are never compared
        while turns:
            _, _, holder, heads = turns[0]
            group = heads[0][1]
            head = group.head
            yield head
            if not group.waiters or group.head is head:
                heappop(heads)
            else:
                heapreplace(heads, (group.claim, group))
            if not heads or holder.is_full:
                heappop(turns)
            else:  # if it got a lease, others may be before it now
                heapreplace(turns, (self._shares.turn(holder, now), heads[0][0], holder, heads))
