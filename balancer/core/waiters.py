"""The queue of waiters: order, deadlines, cancellation.

A freed slot goes to the waiter with the oldest claim, of those that may use it. The queue gives candidates, the best
first. With fair shares between holders (`balancer.core.fairness`), the holders are put in order first.

A claim is the time when a waiter arrived, less `PRIORITY_WORTH_S` for each level of priority. So of waiters that arrive
together, the one with the higher priority goes first. No waiter starves: a claim never changes, not even when its
waiter asks for something else, so waiters that arrive late enough come behind it at any priority.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterator
from itertools import count, takewhile

from balancer.core.fairness import Claim, FairShares, HolderAccount
from balancer.core.live_heap import LiveHeap
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.strategy import Request

__all__ = ["PRIORITY_WORTH_S", "WaitQueue", "Waiter", "WaiterGroup"]

PRIORITY_WORTH_S = 10.0


class Waiter:
    """A queued acquire. It ends once, with a lease or an error.

    Attributes:
        request: what it asks for.
        since_s, deadline_s: when it arrived, and when it gives up (inf: never).
        lease, error: how it ended; both None while it waits.
        wake: the shell's function, called outside its lock after the end.
    """

    __slots__ = ("deadline_s", "error", "group", "lease", "request", "since_s", "ticket", "wake")

    def __init__(
        self,
        group: "WaiterGroup",
        request: Request,  # equals that of the group, but for the key
        since_s: float,
        deadline_s: float,
        ticket: int,
        wake: Callable[[], object],
    ) -> None:
        self.group, self.request, self.ticket, self.wake = group, request, ticket, wake
        self.since_s, self.deadline_s = since_s, deadline_s
        self.lease: Lease | None = None
        self.error: BalancerError | None = None

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
        entry: its entry in its line; None: it has none.
        holder: whose calls they are.
    """

    def __init__(self, name: Hashable, request: Request, priority: int, holder: HolderAccount) -> None:
        self.name = name
        self.request = request
        self.priority = priority
        self.holder = holder
        self.entry: tuple[Claim, int, WaiterGroup] | None = None
        # OrderedDict, not dict: a dict rescans the deleted slots at its front on every look.
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()

    @property
    def head(self) -> Waiter:
        """The waiter with the oldest claim."""
        return next(iter(self.waiters))

    @property
    def claim(self) -> Claim:
        """The claim of the head, then its ticket."""
        head = self.head
        return head.since_s - self.priority * PRIORITY_WORTH_S, head.ticket


class _Line:
    """Groups in the order of their claims. All methods cost O(log groups), amortised.

    A claim that grows, as the head of its group leaves, is noticed when the group comes to the front. For one that
    falls, the group must `enter` again.
    """

    def __init__(self) -> None:
        self._heap: LiveHeap[WaiterGroup] = LiveHeap(lambda entry: entry is entry[2].entry and bool(entry[2].waiters))
        self._passed: list[WaiterGroup] = []

    def enter(self, group: WaiterGroup) -> None:
        """Add a group with waiters, or put it where its claim belongs now."""
        group.entry = self._heap.push(group.claim, group)

    def first(self) -> WaiterGroup | None:
        """Return the group with the oldest claim, of those that were not passed over."""
        while (entry := self._heap.first()) is not None:
            claim, _, group = entry
            if claim == group.claim:
                return group
            self.enter(group)
        return None

    def pass_over(self, group: WaiterGroup) -> None:
        """Leave out a group until `begin`."""
        self._passed.append(group)
        group.entry = None

    def begin(self) -> None:
        """Put back the groups that were passed over."""
        while self._passed:
            group = self._passed.pop()
            if group.waiters and group.entry is None:
                self.enter(group)


class WaitQueue:
    """Waiters, grouped by request and priority, so that a freed slot looks at groups and not at waiters.

    With fair shares, the holder with the least service is next, and of its waiters the oldest claim. So a priority
    moves a call before other calls of its holder only. A holder with as many leases as it may have is passed over.

    `push` and `discard` cost O(log groups), as does each of the `candidates`; `amend` O(waiters of its new group).

    Args:
        shares: say which holder is next; by default there are none, and all waiters are of one holder.

    Attributes:
        size: how many wait. Read only.
        wide: how many of them want several slots. Read only.
        groups: by their names.
    """

    def __init__(self, shares: FairShares | None = None) -> None:
        self.groups: dict[Hashable, WaiterGroup] = {}
        self._shares = FairShares(None) if shares is None else shares
        self._lines: dict[HolderAccount, _Line] = {}  # of the holders that wait
        self._passed: dict[HolderAccount, None] = {}  # holders of which some group was passed over
        self._tickets = count()
        self.size = self.wide = 0

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for group in self.groups.values() for waiter in group.waiters)

    def sole_head(self) -> Waiter | None:
        """Return the waiter with the oldest claim, if there is only one group and its holder may have a lease."""
        if len(self.groups) == 1:
            for group in self.groups.values():
                return None if group.holder.is_full else group.head
        return None

    def push(
        self, request: Request, since_s: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Add a new waiter at the end of its group."""
        group = self._group_of(request, priority)
        waiter = Waiter(group, request, since_s, deadline_s, next(self._tickets), wake)
        group.waiters[waiter] = None
        if group.entry is None:
            self._line_of(group).enter(group)
        if not group.holder.waiting:
            self._shares.arrived(group.holder, since_s)
        self._count(group, 1)
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> None:
        """Change the request of `waiter`. Its claim stays, so it is before all that came after it."""
        before = waiter.group
        group = self._group_of(request, before.priority)
        place = waiter.place
        younger = list(takewhile(lambda other: other.place > place, reversed(group.waiters)))
        del before.waiters[waiter]
        waiter.group, waiter.request = group, request
        group.waiters[waiter] = None
        for other in reversed(younger):
            group.waiters.move_to_end(other)
        if not before.waiters:
            del self.groups[before.name]
        if group.head is waiter:
            self._line_of(group).enter(group)
        self._count(group, 1)
        self._count(before, -1)

    def discard(self, waiter: Waiter) -> None:
        """Remove `waiter`."""
        group = waiter.group
        del group.waiters[waiter]
        if not group.waiters:
            del self.groups[group.name]
        self._count(group, -1)

    def mend(self, waiting: Container[Waiter]) -> None:
        """Leave only the waiters in `waiting` that have not ended, in order, after an interrupt in the middle of a
        call; O(n log n).
        """
        self._lines.clear()
        self._passed.clear()
        self._shares.clear_waiting()
        self.size = self.wide = 0
        for name, group in list(self.groups.items()):
            left = [waiter for waiter in group.waiters if waiter in waiting and not waiter.ended]
            group.waiters = OrderedDict.fromkeys(sorted(left, key=lambda waiter: waiter.place))
            if left:
                self._line_of(group).enter(group)
                self._count(group, len(left))
            else:
                del self.groups[name]

    def candidates(self, now: float) -> Iterator[Waiter]:
        """Yield waiters for a free slot at `now`, the next one first.

        Before the next one, the caller discards the waiter (it was served or timed out) or leaves it. One that is left
        could use no free slot, so the rest of its group is skipped.
        """
        for passed in self._passed:
            if passed.waiting:
                self._lines[passed].begin()
                self._shares.moved(passed)
        self._passed.clear()
        while (holder := self._shares.next(self._claim_of, now)) is not None:
            group = self._lines[holder].first()
            assert group is not None, "a holder without a claim is not in the order"
            head = group.head
            yield head
            if group.waiters and group.head is head:
                self._lines[holder].pass_over(group)
                self._passed[holder] = None
                self._shares.moved(holder)

    def _group_of(self, request: Request, priority: int) -> WaiterGroup:
        """Return the group of these waiters of one holder; a new one if there is none."""
        holder = self._shares.of(request)
        name = request, priority, holder.name
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = WaiterGroup(name, request, priority, holder)
        return group

    def _line_of(self, group: WaiterGroup) -> _Line:
        line = self._lines.get(group.holder)
        if line is None:
            line = self._lines[group.holder] = _Line()
        return line

    def _claim_of(self, holder: HolderAccount) -> Claim | None:
        group = self._lines[holder].first()
        return None if group is None else group.claim

    def _count(self, group: WaiterGroup, more: int) -> None:
        """Change how many of a group wait. The oldest claim of its holder may be another one now."""
        self.size += more
        self.wide += more * (group.request.slots > 1)
        holder = group.holder
        holder.waiting += more
        if holder.waiting:
            self._shares.moved(holder)
        else:
            self._shares.left(holder)
            del self._lines[holder]
