"""Hand-off: how a slot comes to those who wait, oldest claim first.

After every call this holds: no waiter could use a slot that is free (work conservation), so a new request that finds a
free slot overtakes nobody. But for slots that are reserved: whoever waits for several slots at once has those of one
endpoint kept from later claims. It must not know how leases end, how endpoints come and go, nor what is counted of
calls: `Core`, which is made of this, does.
"""

from collections.abc import Callable, Sequence
from functools import partial

from balancer.core.account import Account
from balancer.core.admission import AdmissionFilters
from balancer.core.events import Granted, Journal, Queued, TimedOut
from balancer.core.ledger import Ledger
from balancer.core.metrics import WaitHistogram
from balancer.core.reservations import Reservations
from balancer.core.rules import Rules
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Lease
from balancer.errors import AcquireTimeout, BalancerError, PoolClosed, StrategyError, TooManyWaiters
from balancer.strategy import Request

__all__ = ["EndedWaiters", "HandOff"]

EndedWaiters = Sequence[Waiter]


class HandOff:
    """The waiters of one core, and what is set aside for them.

    Args:
        ledger: grants the leases.
        rules: say which endpoints take slots from one another.
        admission: the failover groups and quotas.
        journal: where what happens is written down.
        max_waiters: how many may wait at once; None for any number.
        look: called when time may have something to do that it had not before.

    Attributes:
        waiters: the queue; to look at, not to change.
        reservations: the slots that are set aside for those who wait for several; likewise.
        waits: how long those that were served had waited.
        timed_out: how many waits ran out of time.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        admission: AdmissionFilters,
        journal: Journal,
        max_waiters: int | None,
        look: Callable[[], object],
    ) -> None:
        self.waiters = WaitQueue()
        self.reservations = Reservations(ledger, rules)
        self.waits = WaitHistogram()
        self.timed_out = 0
        self._ledger = ledger
        self._rules = rules
        self._admission = admission
        self._journal = journal
        self._max_waiters = max_waiters
        self._look = look

    # -- the queue ---------------------------------------------------------------------------------

    def push(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request; see `Core.wait`."""
        if not self._ledger.could_serve(request):
            raise self._ledger.why_not(request)
        full = self._max_waiters is not None and self.waiters.size >= self._max_waiters
        if full and deadline_s > now:  # one that will not wait is no burden: it gets its time-out
            raise TooManyWaiters(self.waiters.size, self._max_waiters or 0)
        waiter = self.waiters.push(request, now, deadline_s, priority, wake)
        if Queued in self._journal.wanted:
            self._journal.note(Queued, now)
        if self.reservations.accounts or request.slots > 1 or self._admission.any:
            self._reserve_anew(waiter, now)
            self._look()
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> bool:
        """Let `waiter` ask for `request` from now on; return False if there is nothing to change. See `Core.amend`."""
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
        """End the wait of `waiter` without a lease; return whether others may be served by that."""
        if waiter.ended:
            return False
        if timed_out:
            self._expire(waiter, now)
        else:
            waiter.error = BalancerError("the wait was cancelled")
        self.waiters.discard(waiter)  # last, so that an interrupt before it leaves one that has ended, not a lost one
        return bool(self.reservations.accounts) or self._admission.any

    def close(self, now: float) -> list[Waiter]:
        """Fail all who wait."""
        self.reservations.free(now)
        self._admission.free()
        return self._fail(list(self.waiters), PoolClosed)

    def fail_stranded(self) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        self._ledger.stranded = False
        ended: list[Waiter] = []
        if self._admission.any:  # requests that are equal may want more and fewer tokens
            for waiter in list(self.waiters):
                if not self._ledger.could_serve(waiter.request):
                    ended += self._fail([waiter], partial(self._ledger.why_not, waiter.request))
            return ended
        for request in self.waiters.requests():
            if not self._ledger.could_serve(request):
                ended += self._fail(self.waiters.asking(request), partial(self._ledger.why_not, request))
        return ended

    # -- who is next -------------------------------------------------------------------------------

    def hand_on(self, lease: Lease, now: float) -> list[Waiter]:
        """Serve whoever can be served by what `lease` held, if nothing else has changed; return those that have ended.

        No waiter could use a slot that was free before, so the one that came free now serves one at most: nearly always
        all ask for the same, and it is plain who is next.
        """
        if lease.slots > 1 or self.reservations.accounts or self._ledger.stranded or self._admission.any:
            return self.serve(now)
        head = self.waiters.sole_head()
        if head is None or now >= head.deadline_s:
            return self.serve(now, most=1)
        self._grant(head, now)
        if head.lease is None and head.error is None:
            return self.serve(now, most=1)
        self.waiters.discard(head)
        return [head]

    def serve(self, now: float, *, most: int | None = None) -> list[Waiter]:
        """Serve those who can be served, oldest claim first, but not more than `most`; return those that have ended."""
        ended: list[Waiter] = self.fail_stranded() if self._ledger.stranded else []
        served = 0
        before = self.reservations.free(now) if self.reservations.accounts else {}
        filtered = self._admission.any
        if filtered:
            self._admission.free()
        for waiter in self.waiters.candidates():
            if waiter.error is not None:
                pass  # it has failed, and an interrupt came before it was taken out
            elif now >= waiter.deadline_s:
                self._expire(waiter, now)
            else:
                self._grant(waiter, now)
            if waiter.lease is not None or waiter.error is not None:
                self.waiters.discard(waiter)
                ended.append(waiter)
                served += waiter.lease is not None
                if served == most:
                    break
            elif filtered or waiter.request.slots > 1:
                self._reserve(waiter, now, before)
        if filtered:
            self._admission.observe(now)
        self._look()
        return ended

    # -- inside ------------------------------------------------------------------------------------

    def _grant(self, waiter: Waiter, now: float) -> None:
        request, ledger = waiter.request, self._ledger
        try:
            if self._admission.any:
                waiter.lease = self._admission.take(ledger.take, request, waiter.since_s, now)
            else:
                waiter.lease = ledger.take(request, now)
        except Exception as error:
            # The strategy's fault. It is told to the waiter it failed to serve, not to whoever gave the slot
            # back; and those who were served already must still be woken.
            name = ledger.strategy.name
            waiter.error = error if isinstance(error, StrategyError) else StrategyError(name, f"raised {error!r}")
        if waiter.lease is not None:
            waited_s = now - waiter.since_s
            self.waits.add(waited_s)
            if Granted in self._journal.wanted:
                self._journal.note_lease(Granted, now, waiter.lease, waited_s)
            if ledger.sink is not None:
                waiter.lease.waited_s = waited_s

    def _reserve_anew(self, fresh: Waiter, now: float) -> None:
        """Reserve slots for those who wait for several, oldest claim first; `fresh` gets what no older claim reserves.

        Nobody else can be served: what was reserved before still is, or is granted to `fresh`.
        """
        if self._admission.any and self._admission.is_late(now):
            return  # somebody else may be served, who must be told; that is what is due
        before = self.reservations.free(now)
        self._admission.free()
        for waiter in self.waiters.candidates():
            if waiter is fresh:
                self._grant(waiter, now)
            if waiter.ended:
                self.waiters.discard(waiter)
            elif waiter.request.slots > 1 or self._admission.any:
                self._reserve(waiter, now, before, stay=True)
        self._admission.observe(now)

    def _reserve(self, waiter: Waiter, now: float, before: dict[object, Account], *, stay: bool = False) -> None:
        """Reserve for a claim that could not be served what it needs most."""
        request = waiter.request
        if self._admission.any:
            request = self._admission.within_reach(request, waiter.since_s, now)
        if request.slots > 1:
            self.reservations.keep(waiter.group, request, now, before, stay=stay)
        if self._admission.any:
            self._admission.stand(waiter.group, request, now, self.reservations.accounts.get(waiter.group))

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            waiter.error = error()  # one each: a raised error carries its own traceback
            self.waiters.discard(waiter)
        return waiters

    def _expire(self, waiter: Waiter, now: float) -> None:
        self.timed_out += 1
        self._journal.note(TimedOut, now, now - waiter.since_s)
        out = self._ledger.unfit() if self._rules.any else 0
        short = self._admission.short(waiter.request, now) if self._admission.any else ()
        waiter.error = AcquireTimeout(now - waiter.since_s, waiter.deadline_s - waiter.since_s, out, short)
