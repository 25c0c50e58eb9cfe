"""The queue of waiters: order, deadlines, cancellation.

A freed slot goes to the waiter with the oldest claim, of those that may use it. The queue gives candidates, the best
first. With fair shares between holders, the holders are put in order first.

A claim is the time when a waiter arrived, less `PRIORITY_WORTH_S` for each level of priority. So of waiters that arrive
together, the one with the higher priority goes first. No waiter starves: a claim never changes, not even when its
waiter asks for something else, so waiters that arrive late enough come behind it at any priority.

Fair shares say which holder is next, by the slot-seconds that each holder has had. What holders share is slots, for as
long as they have them. So the service of a holder is its slot-seconds, divided by its weight. A freed slot goes to the
holder that waits and has had the least service. This is start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996), for
several servers at once (SFQ(D): Jin, Chase, Kaur: SIGMETRICS 2004), where the cost of a call is unknown at its start. A
lease that is out counts with what it has used so far, and with one mean lease ahead; after its end with its true time.
So long calls are paid for while they run, and slots that come free together do not all go to one holder.

A holder that was away starts at the service of the last one that was served: what it did not use is not kept for it.

The bound: two holders wait all the time, and all slots may serve both. Let D be the number of slots, L the longest
lease, w the smaller weight. Their services, each divided by its weight, differ in any interval by at most 2 D L / w.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from itertools import count, takewhile
from typing import Final

from balancer.core.live_heap import LiveHeap
from balancer.core.metrics import HolderStats, WaitHistogram
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError
from balancer.settings.rules import HolderSettings
from balancer.strategy import Request

__all__ = ["OTHERS", "PRIORITY_WORTH_S", "FairShares", "WaitQueue", "Waiter", "WaiterGroup"]

PRIORITY_WORTH_S = 10.0

Claim = tuple[float, int]
"""A claim in the queue: its time, then the ticket of its waiter."""

OTHERS: Final = "(others)"
"""The name under which the figures of forgotten holders are added up."""

_ANY: Final = "*"
_MOST_KEPT = 1000  # holders; beyond, those that have been idle longest are forgotten
_RECENT = 64  # the mean lease is about that of so many last ones


class HolderAccount:
    """What one holder has out and has had.

    Attributes:
        name, weight, max_leases: as configured.
        slots, out, waiting: slots and leases out, and waiters.
        leases, calls, tokens: granted, ended with a judgement of the endpoint, and reported, so far.
        waits: how long its leases were waited for.
        busy_s: slot-seconds until `seen_s`.
        lead_s: what was added to its service when it came back.
        entry: its entry in the order of service; None: it has none.
    """

    def __init__(self, name: str, settings: HolderSettings | None) -> None:
        self.name = name
        self.weight = 1.0 if settings is None else settings.weight
        self.max_leases = None if settings is None else settings.max_leases
        self.slots = self.out = self.waiting = 0
        self.leases = self.calls = self.tokens = 0
        self.waits = WaitHistogram()
        self.busy_s = self.seen_s = self.lead_s = 0.0
        self.entry: tuple[tuple[float, Claim], int, HolderAccount] | None = None

    @property
    def is_full(self) -> bool:
        """True while it has as many leases out as it may."""
        return self.max_leases is not None and self.out >= self.max_leases

    @property
    def is_idle(self) -> bool:
        """True if it has no lease out and does not wait."""
        return not self.out and not self.waiting

    def used_s(self, now: float) -> float:
        """Return its slot-seconds so far."""
        return self.busy_s + self.slots * (now - self.seen_s)

    def service_s(self, now: float) -> float:
        """Return its service: slot-seconds divided by its weight."""
        return self.lead_s + self.used_s(now) / self.weight


class FairShares:
    """The holders of one pool, and who is next.

    With time, the service of a holder grows by its slots divided by its weight. So the order of those that grow alike
    stays, and each such rate has a heap. There are few rates: holders of equal weight that have D slots together have
    at most sqrt(2 D) of them.

    Args:
        holders: weights and bounds by name; "*" for each holder without an entry. None: all calls are of one holder.

    Attributes:
        bounded: True if some holder has a bound on its leases.
    """

    def __init__(self, holders: Mapping[str, HolderSettings] | None) -> None:
        self._settings = dict(holders or {})
        self.bounded = any(each.max_leases is not None for each in self._settings.values())
        self._tells_apart = holders is not None
        self._accounts: dict[str, HolderAccount] = {}
        self._others = HolderAccount(OTHERS, None)
        self._sweep_at = 2 * _MOST_KEPT
        self._served_s = 0.0  # the service of the last holder that was served, when it was
        self._mean_s = 1.0
        self._ends = 0
        self._tokens: dict[int, int] = {}  # reported so far, by the id of a lease that is out
        self._turns: dict[float, LiveHeap[HolderAccount]] = {}  # the holders that wait, by rate
        self._moved: dict[HolderAccount, None] = {}  # those of them whose entry must be made anew

    def of(self, request: Request) -> HolderAccount:
        """Return the account of the holder that `request` names."""
        name = request.terms.holder if request.terms is not None and self._tells_apart else ""
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= self._sweep_at:
                self._forget_idle()
            account = self._accounts[name] = HolderAccount(name, self._settings.get(name, self._settings.get(_ANY)))
        return account

    # -- who is next -------------------------------------------------------------------------------

    def moved(self, holder: HolderAccount) -> None:
        """Note that the slots or the claim of a holder that waits may have changed."""
        self._moved[holder] = None

    def left(self, holder: HolderAccount) -> None:
        """Note that a holder does not wait any more."""
        self._moved.pop(holder, None)
        holder.entry = None

    def next(self, claim_of: Callable[[HolderAccount], Claim | None], now: float) -> HolderAccount | None:
        """Return the holder with the least service, of those that wait and may have a lease; O(log holders + rates).

        What counts is its service with one mean lease ahead for each of its slots; of equals, the oldest claim.

        Args:
            claim_of: returns the oldest claim of a holder that waits; None: it is to be passed over.
            now: the time.
        """
        for holder in self._moved:
            claim = holder.entry = None
            if not holder.is_full and (claim := claim_of(holder)) is not None:
                rate = holder.slots / holder.weight
                turns = self._turns.setdefault(rate, LiveHeap(lambda entry: entry is entry[2].entry))
                holder.entry = turns.push((holder.service_s(0.0), claim), holder)
        self._moved.clear()
        best: tuple[tuple[float, float, Claim], HolderAccount] | None = None
        for rate, turns in list(self._turns.items()):
            entry = turns.first()
            if entry is None:
                del self._turns[rate]
                continue
            (at_zero_s, claim), _, holder = entry
            turn = at_zero_s + rate * (now + self._mean_s), rate, claim
            if best is None or turn < best[0]:
                best = turn, holder
        return best and best[1]

    # -- what happened -----------------------------------------------------------------------------

    def arrived(self, holder: HolderAccount, now: float) -> None:
        """Record a call of a holder that does not wait yet: it begins at the service of those that are served."""
        holder.lead_s += max(0.0, self._served_s - holder.service_s(now))

    def started(self, lease: Lease, now: float, waited_s: float = 0.0) -> None:
        """Record a lease that was granted, before its waiter has left the queue."""
        holder = self.of(lease.request)
        if not holder.waiting:
            self.arrived(holder, now)
        self._served_s = max(self._served_s, holder.service_s(now))
        self._take(holder, 1, lease.slots, now)
        holder.leases += 1
        holder.waits.add(waited_s)

    def ended(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Record a lease that has ended."""
        holder = self.of(lease.request)
        self._take(holder, -1, -lease.slots, now)
        holder.calls += outcome is not Outcome.IGNORED
        self._tokens.pop(lease.id, None)
        self._ends = min(self._ends + 1, _RECENT)
        self._mean_s += (now - lease.granted_s - self._mean_s) / self._ends

    def used(self, lease: Lease, tokens: int) -> None:
        """Set how many tokens the call of a lease that is out has used so far."""
        before = self._tokens.get(lease.id, 0)
        if tokens > before:
            self.of(lease.request).tokens += tokens - before
            self._tokens[lease.id] = tokens

    def clear_waiting(self) -> None:
        """Set the waiters of each holder to 0, before they are counted again."""
        self._moved.clear()
        for holder in self._accounts.values():
            holder.waiting, holder.entry = 0, None

    def recount(self, out: Iterable[Lease], now: float) -> None:
        """Count again what is out, after an interrupt. O(holders + leases out)."""
        for holder in self._accounts.values():
            self._take(holder, -holder.out, -holder.slots, now)
        for lease in out:
            self._take(self.of(lease.request), 1, lease.slots, now)

    # -- looking -----------------------------------------------------------------------------------

    def stats(self, now: float) -> list[HolderStats]:
        """Return the figures of each holder, in the order in which they came; at last of those forgotten, if any."""
        accounts = [*self._accounts.values(), *([self._others] if self._others.leases else [])]
        total_s = sum(each.used_s(now) for each in accounts) or 1.0
        return [
            HolderStats(
                name=each.name,
                weight=each.weight,
                in_flight=each.slots,
                waiting=each.waiting,
                leases=each.leases,
                calls=each.calls,
                tokens=each.tokens,
                busy_s=each.used_s(now),
                share=each.used_s(now) / total_s,
                wait_s=each.waits.summary(each.leases),
            )
            for each in accounts
        ]

    # -- inside ------------------------------------------------------------------------------------

    def _take(self, holder: HolderAccount, leases: int, slots: int, now: float) -> None:
        """Change what a holder has out; negative numbers for an end."""
        holder.busy_s, holder.seen_s = holder.used_s(now), now
        holder.out += leases
        holder.slots += slots
        if holder.waiting:
            self.moved(holder)

    def _forget_idle(self) -> None:
        """Forget the holders that have been idle longest, and keep their figures together. Amortised O(log n)."""
        idle = sorted((each for each in self._accounts.values() if each.is_idle), key=lambda each: each.seen_s)
        for each in idle[: max(0, len(self._accounts) - _MOST_KEPT)]:
            del self._accounts[each.name]
            others = self._others
            others.leases += each.leases
            others.calls += each.calls
            others.tokens += each.tokens
            others.busy_s += each.busy_s
            others.waits.add_all(each.waits)
        self._sweep_at = len(self._accounts) + _MOST_KEPT


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
