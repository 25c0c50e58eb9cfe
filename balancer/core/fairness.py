"""Fair shares: which holder's call is next, by the slot-seconds that each holder has had.

What holders share is slots, for as long as they have them. So the service of a holder is its slot-seconds, divided by
its weight. A freed slot goes to the holder that waits and has had the least service. This is start-time fair queueing
(Goyal, Vin, Cheng: SIGCOMM 1996), for several servers at once (SFQ(D): Jin, Chase, Kaur: SIGMETRICS 2004), where the
cost of a call is unknown at its start. A lease that is out counts with what it has used so far, and with one mean lease
ahead; after its end with its true time. So long calls are paid for while they run, and slots that come free together do
not all go to one holder.

A holder that was away starts at the service of the last one that was served: what it did not use is not kept for it.

The bound: two holders wait all the time, and all slots may serve both. Let D be the number of slots, L the longest
lease, w the smaller weight. Their services, each divided by its weight, differ in any interval by at most 2 D L / w.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from balancer.core.live_heap import LiveHeap
from balancer.core.metrics import HolderStats, WaitHistogram
from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import HolderSettings
from balancer.strategy import Request

__all__ = ["OTHERS", "Claim", "FairShares", "HolderAccount"]

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
