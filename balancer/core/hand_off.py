"""Hand-off: how a slot gets to the waiters, oldest claim first.

After every call, no waiter could use a slot that is free (work conservation). So a new request that takes a free slot
overtakes nobody. Reserved slots are an exception: they are kept from later claims, for a waiter that needs several
slots of one endpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf

from balancer.core.account import Account
from balancer.core.admission import AdmissionFilters
from balancer.core.events import Granted, Journal, Queued, TimedOut
from balancer.core.fairness import FairShares
from balancer.core.ledger import Ledger
from balancer.core.metrics import WaitHistogram
from balancer.core.rules import Rules
from balancer.core.strategy_calls import StrategyRaised, has_no_room
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Lease
from balancer.errors import AcquireTimeout, BalancerError, PoolClosed, StrategyError, TooManyWaiters
from balancer.strategy import Request

__all__ = ["EndedWaiters", "HandOff", "Reservations"]

EndedWaiters = Sequence[Waiter]

# If slots are free, why a request got none takes a look at each endpoint that it admits: about 1 us. What is found
# holds for equal requests for so many seconds for each endpoint, so that looks take a hundredth of the time at most.
_LOOK_HOLDS_S = 1e-4


class Reservations:
    """The endpoints whose free slots are reserved, each for one claim.

    Attributes:
        accounts: the reserved endpoint of each claim; oldest claim first.
        held: all that are kept: each reserved endpoint and the others of its host.
    """

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self.accounts: dict[object, Account] = {}
        self.held: list[Account] = []
        self._ledger = ledger
        self._rules = rules

    def keep(
        self, claim: object, request: Request, now: float, before: Mapping[object, Account], *, stay: bool = False
    ) -> None:
        """Reserve the free slots of one endpoint for `claim`, so that later claims do not take them one by one. O(N).

        It is the endpoint that misses the fewest slots for `request`. Of equals, one that was reserved `before` is
        preferred. With `stay`, it is the endpoint that `claim` had before, unless an older claim has it now. So no slot
        that was reserved before becomes free.
        """
        best = before.get(claim) if stay else None
        if best is None or best.kept:
            best = self._nearest(request, set(before.values()))
        if best is not None:
            self.accounts[claim] = best
            for account in self._rules.together(best):
                account.kept = True
                self.held.append(account)
            self._ledger.refresh(self._rules.together(best), now)

    def free(self, now: float) -> dict[object, Account]:
        """End all reservations. Return what was reserved, by claim."""
        kept, self.accounts = self.accounts, {}
        held, self.held = self.held, []
        for account in held:
            account.kept = False
        self._ledger.refresh(held, now)
        return kept

    def _nearest(self, request: Request, before: set[Account]) -> Account | None:
        """Return the account that misses the fewest slots for `request`, of those that are not reserved."""
        best, least = None, inf
        for account in self._ledger.accounts():
            if account.ceiling and not account.kept and request.admits(account.endpoint):
                missing = account.in_flight + request.takes(account) - account.limit - (account in before) / 2
                if missing < least:
                    best, least = account, missing
        return best


class HandOff:
    """The waiters of one core, and the slots that are reserved for them.

    Args:
        ledger: grants the leases.
        rules: say which endpoints share a host.
        admission: the failover groups and quotas.
        journal: records events.
        max_waiters: how many may wait at once; None: any number.
        shares: the fair shares of holders; None: they have none.
        look: called when the next due time may have changed.

    Attributes:
        waiters: the queue. Read only.
        reservations: the slots that are reserved for waiters that need several. Read only.
        waits: how long waiters waited for their leases.
        timed_out, cancelled: how many waits timed out, and how many were cancelled.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        admission: AdmissionFilters,
        journal: Journal,
        max_waiters: int | None,
        shares: FairShares | None,
        look: Callable[[], object],
    ) -> None:
        self.waiters = WaitQueue(shares)
        self.reservations = Reservations(ledger, rules)
        self.waits = WaitHistogram()
        self.timed_out = self.cancelled = 0
        self._ledger = ledger
        self._rules = rules
        self._admission = admission
        self._journal = journal
        self._max_waiters = max_waiters
        self._shares = shares
        self._look = look
        self._found: dict[object, dict[str, int]] = {}  # why requests were not served, as of `_found_s`
        self._found_s = -inf

    # -- the queue ---------------------------------------------------------------------------------

    def push(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request; see `Core.wait`."""
        if not self._ledger.could_serve(request):
            raise self._ledger.why_not(request)
        full = self._max_waiters is not None and self.waiters.size >= self._max_waiters
        if full and deadline_s > now:  # a request that will not wait does not fill the queue: it gets its timeout
            raise TooManyWaiters(self.waiters.size, self._max_waiters or 0)
        waiter = self.waiters.push(request, now, deadline_s, priority, wake)
        self._journal.note(Queued, now)
        if self.reservations.accounts or request.slots > 1 or self._admission.any:
            if self._admission.is_late(now):
                pass  # others may be served first; `tick` is due and does that
            elif self._shares is None:
                self.serve(now, fresh=waiter)
            else:
                self._reserve_last(waiter, now)
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> bool:
        """Change the request of `waiter`; return False if nothing changes. See `Core.amend`."""
        if waiter.ended or (
            request == waiter.request
            and (request.key, request.terms, request.tokens)
            == (waiter.request.key, waiter.request.terms, waiter.request.tokens)
        ):
            return False
        if not self._ledger.could_serve(request):
            raise self._ledger.why_not(request)
        self.waiters.amend(waiter, request)
        return True

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> bool:
        """End the wait of `waiter` without a lease. Return whether others may be served by that."""
        if waiter.ended:
            return False
        if timed_out:
            self._expire(waiter, now)
        else:
            self.cancelled += 1
            waiter.error = BalancerError("the wait was cancelled")
        self.waiters.discard(waiter)  # last: an interrupt before leaves an ended waiter in the queue; none is lost
        return bool(self.reservations.accounts) or self._admission.any

    def close(self, now: float) -> list[Waiter]:
        """Fail all waiters with `PoolClosed`."""
        self.reservations.free(now)
        self._admission.free()
        return self._fail(list(self.waiters), PoolClosed)

    def fail_stranded(self) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        self._ledger.stranded = False
        ended: list[Waiter] = []
        for group in list(self.waiters.groups.values()):
            # With quotas, equal requests may have different token counts.
            alike = [[waiter] for waiter in group.waiters] if self._admission.any else [list(group.waiters)]
            for waiters in alike:
                if not self._ledger.could_serve(waiters[0].request):
                    ended += self._fail(waiters, partial(self._ledger.why_not, waiters[0].request))
        return ended

    # -- who is next -------------------------------------------------------------------------------

    def hand_on(self, lease: Lease, now: float) -> list[Waiter]:
        """Give the slots of `lease` to a waiter, if nothing else has changed. Return the waiters that ended.

        No waiter could use a slot that was free before. So one free slot serves at most one waiter. Nearly always all
        waiters ask for the same, so the next one is known at once.
        """
        if lease.slots > 1 or self.reservations.accounts or self._ledger.stranded or self._admission.any:
            return self.serve(now)
        if self._shares is not None and self._shares.bounded:  # one that was passed over may use a slot that was free
            return self.serve(now)
        head = self.waiters.sole_head()
        if head is None or now >= head.deadline_s:
            return self.serve(now, most=1)
        self._grant(head, now)
        if head.ended:
            self.waiters.discard(head)
        if head.lease is not None:
            return [head]
        failed = [head] if head.ended else []  # else it may be served now, and ends once
        return [*failed, *self.serve(now, most=1)]  # also after an error of the strategy: the slot is still free

    def serve(self, now: float, *, most: int | None = None, fresh: Waiter | None = None) -> list[Waiter]:
        """Serve waiters, oldest claim first, at most `most` of them. Return the waiters that ended.

        If `fresh` has just come, no other waiter can be served: slots that were reserved before stay reserved, or
        `fresh` gets them.
        """
        ended: list[Waiter] = self.fail_stranded() if self._ledger.stranded and fresh is None else []
        served = 0
        before = self.reservations.free(now) if self.reservations.accounts else {}
        filtered = self._admission.any
        if filtered:
            self._admission.free()
        for waiter in self.waiters.candidates(now):
            if not self._ledger.free and not self.waiters.wide:
                break  # nobody can be served, and no slots are to be reserved
            if fresh is None and now >= waiter.deadline_s:
                self._expire(waiter, now)
            elif fresh in (None, waiter):
                self._grant(waiter, now)
            if waiter.ended:
                self.waiters.discard(waiter)
                ended.append(waiter)
                served += waiter.lease is not None
                if served == most:
                    break
            elif filtered or waiter.request.slots > 1:
                self._reserve(waiter, now, before, stay=fresh is not None)
        if filtered:
            self._ledger.kinds.observe()
        self._look()
        return ended

    def granted(self, lease: Lease, now: float, waited_s: float = 0.0) -> None:
        """Count a lease that was taken, and tell of it."""
        if waited_s:
            self.waits.add(waited_s)
            if self._ledger.sinks:
                lease.waited_s = waited_s
        self._journal.note_lease(Granted, now, lease, waited_s)
        if self._shares is not None:
            self._shares.started(lease, now, waited_s)

    # -- inside ------------------------------------------------------------------------------------

    def _grant(self, waiter: Waiter, now: float) -> None:
        try:
            if self._admission.any:
                waiter.lease = self._admission.take(waiter.request, waiter.since_s, now)
            else:
                waiter.lease = self._ledger.take(waiter.request, now)
        except Exception as error:
            # An error of the strategy goes to the waiter that it failed to serve, not to the caller that released the
            # slot. And the waiters that were served before must still be woken.
            if has_no_room(error):  # the caller's stack is full; the waiter is served when the core is repaired
                raise
            name = self._ledger.strategy.name
            if isinstance(error, StrategyRaised):
                waiter.error = StrategyError(name, error.reason)  # of a waiter: its thread has nothing to repair
            else:
                waiter.error = error if isinstance(error, StrategyError) else StrategyError(name, f"raised {error!r}")
        if waiter.lease is not None:
            self.granted(waiter.lease, now, now - waiter.since_s)

    def _reserve_last(self, fresh: Waiter, now: float) -> None:
        """Reserve slots for `fresh` behind all others. The order of holders changes with time, so it is not looked at
        here: the next hand-off does that, for all of them.
        """
        group = fresh.group
        if group.head is fresh and not group.holder.is_full and (fresh.request.slots > 1 or self._admission.any):
            self._reserve(fresh, now, {})
        self._ledger.kinds.observe()
        self._look()

    def _reserve(self, waiter: Waiter, now: float, before: dict[object, Account], *, stay: bool = False) -> None:
        """Reserve slots, or keep a quota, for a claim that could not be served."""
        request = waiter.request
        if self._admission.any:
            request = self._admission.within_reach(request, waiter.since_s, now)
        if request.slots > 1:
            self.reservations.keep(waiter.group, request, now, before, stay=stay)
        if self._admission.any:
            reserved = self.reservations
            self._admission.stand(waiter.group, request, now, reserved.accounts.get(waiter.group), reserved.held)

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            waiter.error = error()  # a new error for each: a raised error has its own traceback
            self.waiters.discard(waiter)
        return waiters

    def _expire(self, waiter: Waiter, now: float) -> None:
        self.timed_out += 1
        self._journal.note(TimedOut, now, now - waiter.since_s)
        out = self._ledger.kinds.out
        short = self._admission.short(waiter.request, now) if self._admission.any and self._ledger.free else ()
        full = self._shares is not None and self._shares.of(waiter.request).is_full
        timeout_s = waiter.deadline_s - waiter.since_s
        reasons = self._reasons(waiter, now) if timeout_s > 0 and not full else {}  # a mere look stays cheap
        waiter.error = AcquireTimeout(now - waiter.since_s, timeout_s, out, short, full=full, reasons=reasons)

    def _reasons(self, waiter: Waiter, now: float) -> dict[str, int]:
        request = waiter.request
        if not self._ledger.free:
            return self._ledger.kinds.why_not_taken(request, None)
        if now >= self._found_s + _LOOK_HOLDS_S * self._ledger.kinds.size:
            self._found, self._found_s = {}, now
        # Others are served before one that is not the head of its group, or if something is due.
        is_next = waiter.group.head is waiter and not self._admission.is_late(now)
        asked = request, request.tokens, is_next
        if asked not in self._found:
            hides = self._admission.hides(request, waiter.since_s, now)
            self._found[asked] = self._ledger.kinds.why_not_taken(request, hides)
            if not is_next:
                self._found[asked].pop("passed over", None)
        return self._found[asked]
