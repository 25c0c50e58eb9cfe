"""Grant and hand-off: leases for callers who ask, and for those who wait.

Decides when a waiter is served and when it fails. After every call this holds: no waiter could use a
slot that is free (work conservation), so a new request that finds a free slot overtakes nobody. But for
slots that are kept: whoever waits for several slots at once has those of one endpoint kept from later claims.
It must not know how endpoints come and go, nor what is counted of calls: `Core`, which is built on it, does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from balancer.core.account import Account
from balancer.core.admission import AdmissionFilters
from balancer.core.event_log import LeaseEventLog
from balancer.core.events import Ended, Granted, Journal, Queued, TimedOut
from balancer.core.lease_timers import LeaseTimers
from balancer.core.ledger import Ledger
from balancer.core.metrics import WaitHistogram
from balancer.core.quotas import Charge
from balancer.core.recording import Recording, Several
from balancer.core.reservations import Reservations
from balancer.core.rules import Rules
from balancer.core.timing import CountedWaits, Timing
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Lease, LeaseTerms, Outcome
from balancer.errors import AcquireTimeout, BalancerError, StrategyError, TooManyWaiters
from balancer.load import Load
from balancer.strategy import Request

__all__ = ["EndedWaiters", "Serving"]

EndedWaiters = Sequence[Waiter]

_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class Serving:
    """Leases and the queue of those who wait for one.

    Args:
        ledger: the books; they call `_mind` for each lease whose time ends.
        rules: those that the books go by.
        journal: where what happens is written down.
        max_waiters: how many may wait at once; None for any number.
        gates: the groups and quotas.

    Attributes:
        due_s: while somebody waits, a shell calls `tick` at this instant. Else the next call is early enough.
        journal: what has happened, for a shell to tell; see `Core.listen`.
        kept: the slots that are kept for those who wait for several; to look at, not to change.
        gates: the groups and quotas; likewise.
    """

    def __init__(
        self, ledger: Ledger, rules: Rules, journal: Journal, max_waiters: int | None, gates: AdmissionFilters
    ) -> None:
        self.journal = journal
        self.gates = gates
        self._rules = rules
        self._tenures = LeaseTimers()
        self._by_the_clock = rules.any
        self._ledger = ledger
        if rules.times_probes:
            ledger.look = self._look_at_the_clock
        self.kept = Reservations(ledger, rules)
        self._telling = LeaseEventLog(ledger, journal)
        self._recordings: tuple[Recording, ...] = ()
        self._timing: Timing | None = None
        self._waiters = WaitQueue()
        self._max_waiters = max_waiters
        self._waits = WaitHistogram()
        self._timed_out = 0
        self._closed = False
        self._since_s = 0.0  # when the waiter came that is served just now
        self.due_s = rules.due_s
        self.acquire: Callable[[Request, float], Lease | None]
        """Return a lease at once, or None if it takes waiting (see `wait`); PoolClosed once it is closed."""
        self.release: Callable[[Lease, Outcome, float], EndedWaiters]
        """End a lease and hand its slot on; LeaseError, and nothing changed, if it is not out."""
        self._bind()

    def _bind(self) -> None:
        """Choose what a lease goes through: no more than is needed.

        Nobody waits for a slot that is free, so to acquire is to take; and while nobody waits at all, nobody listens
        and nothing goes by the clock, to release is to end. The aliases save two calls a lease.
        """
        wanted = self.journal.wanted
        self._take: Callable[[Request, float], Lease | None] = (
            self._telling.take if Granted in wanted else self._ledger.take
        )
        self._end: Callable[[Lease, Outcome, float], tuple[()]] = (
            self._telling.end if Ended in wanted else self._ledger.end
        )
        if self._timing is not None:
            self._timing.stand_before(self._end)
            self._end = self._timing.end
        self._grant: Callable[[Request, float], Lease | None] = self._ledger.take
        self._hand_on: Callable[[Lease, float], EndedWaiters] = self._hand_on_one
        if self.gates.any:
            self._take_any, self._take = self._take, self._take_gated
            self._grant, self._hand_on = self._grant_gated, self._hand_on_gated
        self._aim()
        self._idle_release: Callable[[Lease, Outcome, float], EndedWaiters] = (
            self._end_by_rules if self._by_the_clock else self._end
        )
        if self.gates.any:
            self._idle_any, self._idle_release = self._idle_release, self._release_gated
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release

    def record(self, most: int) -> Recording:
        """Return what keeps leases that end from now on, so many at once, until `stop_recording`."""
        recording = Recording(most, self._ledger)
        self._record_by((*self._recordings, recording))
        return recording

    def stop_recording(self, recording: Recording) -> None:
        """Let `recording` keep no more."""
        self._record_by(tuple(other for other in self._recordings if other is not recording))

    def _record_by(self, recordings: tuple[Recording, ...]) -> None:
        self._recordings = recordings
        one = recordings[0].kept if recordings else None
        self._ledger.kept = Several(recordings) if len(recordings) > 1 else one

    def time_leases(self) -> None:
        """Count from now on how long leases are waited for and held, if that is not done already; see `Core.times`."""
        if self._timing is None:
            self._waits = CountedWaits(self._waits, self._ledger.granted)
            self._timing = Timing()
        self._bind()

    def _aim(self) -> None:
        """Let an acquire look at the clock only while there is an instant at which something is due."""
        if not self._closed:
            self.acquire = self._take if self.due_s == inf else self._take_in_time

    # -- leases ------------------------------------------------------------------------------------

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request that `acquire` could not serve.

        It may have ended already when it is returned: its claim may be older than that of one for whom slots are kept.

        Raises:
            NoEndpoint: nobody in service could ever serve it.
            TooManyWaiters: the queue is full.
        """
        if not self._ledger.could_serve(request):
            raise self._ledger.why_not(request)
        full = self._max_waiters is not None and self._waiters.size >= self._max_waiters
        if full and deadline_s > now:  # one that will not wait is no burden: it gets its time-out
            raise TooManyWaiters(self._waiters.size, self._max_waiters or 0)
        waiter = self._waiters.push(request, now, deadline_s, priority, wake)
        if Queued in self.journal.wanted:
            self.journal.note(Queued, now)
        if self.kept.accounts or request.slots > 1 or self.gates.any:
            self._keep_anew(waiter, now)
            self._look_at_the_clock()
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> EndedWaiters:
        """Let `waiter` ask for `request` from now on, at its place in the queue, as a retry that waits does.

        Does nothing to one that has ended. Returns those that this served; `waiter` may be one of them.

        Raises:
            NoEndpoint: nobody in service could ever serve `request`. Nothing is changed: it waits on as before.
        """
        if waiter.ended or (
            request == waiter.request
            and (request.key, request.terms, request.tokens)
            == (waiter.request.key, waiter.request.terms, waiter.request.tokens)
        ):
            return ()
        if not self._ledger.could_serve(request):
            raise self._ledger.why_not(request)
        self._waiters.amend(waiter, request)
        return self._hand_off(now)

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> EndedWaiters:
        """Let `waiter` give up, because its time ran out or because its caller is gone.

        Does nothing to one that has ended: its lease is then its owner's to use or to give back. Returns the others
        that this served: slots may have been kept for it.
        """
        if waiter.ended:
            return ()
        if timed_out:
            self._expire(waiter, now)
        else:
            waiter.error = BalancerError("the wait was cancelled")
        self._waiters.discard(waiter)  # last, so that an interrupt before it leaves one that has ended, not a lost one
        return self._hand_off(now) if self.kept.accounts or self.gates.any else ()

    def adopt(self, name: str, slots: int, terms: LeaseTerms | None, tokens: int | None, now: float) -> Lease | None:
        """Put a lease on the books that is out already, of the endpoint `name`; None: there is no such endpoint.

        For an owner that comes back after its death and is told what is out; see `balancer.cluster.protocol`. Nobody
        may wait yet.
        """
        lease = self._ledger.adopt(name, slots, terms, now)
        if lease is None:
            return None
        account: Account = lease.account
        if account.meter is not None:
            lease.charge = account.meter.take(tokens, now)
        if self.gates.any:
            self.gates.observe(now)
        if Granted in self.journal.wanted:
            self._telling.granted(lease, 0.0)
        self._look_at_the_clock()
        return lease

    def used(self, lease: Lease, tokens: int, now: float) -> EndedWaiters:
        """Learn how many tokens the call of `lease`, which is out, has used so far; of a quota, these count then.

        Raises:
            LeaseError: it is not out. Nothing is changed.
        """
        self._ledger.check_out(lease)
        charge: Charge | None = getattr(lease, "charge", None)
        if charge is None:
            return ()
        charge.meter.settle(charge, tokens, now)
        return self._hand_off(now) if self._waiters.size else ()

    def told(self, lease: Lease, load: Load, now: float) -> EndedWaiters:
        """Learn what the endpoint of `lease`, which is out, has said of its load. LeaseError if it is not out."""
        self._ledger.told(lease, load, now)
        return ()

    def tick(self, now: float) -> EndedWaiters:
        """Let time do what is due: end leases whose time is over, end cooldowns, go on with slow starts."""
        for lease, is_over in self._tenures.take_due(now):
            if is_over:
                self._expire_lease(lease, now)
            else:
                self._telling.leaked(lease, now)
        self._ledger.tick(now)
        return self._hand_off(now)

    def abandon(self, leases: Sequence[Lease], now: float) -> EndedWaiters:
        """End those of `leases` that are out: nobody has them any more to give them back."""
        for lease in leases:
            if not lease.ended:
                lease.fate = f"{lease!r} was nobody's any more, so its slot went to others"
                self._telling.abandoned(lease, now)
                self._end_as_ignored(lease, now)
        return self._hand_off(now)

    # -- inside ------------------------------------------------------------------------------------

    def _take_in_time(self, request: Request, now: float) -> Lease | None:
        # While somebody waits the shell sees to it that `tick` is called in time: it may end waits.
        if now >= self.due_s and not self._waiters.size:
            self.tick(now)
        return self._take(request, now)

    def _end_by_rules(self, lease: Lease, outcome: Outcome, now: float) -> EndedWaiters:
        """End a lease, let the rules learn from it, and serve whoever can be served thereafter."""
        account: Account | None = lease.account
        learned = False
        try:
            self._end(lease, outcome, now)
        finally:  # a strategy may raise when the lease has ended already
            if account is not None and lease.account is None:
                record = account.record
                if outcome is _SUCCESS and record is not None and now < record.look_s:
                    record.fresh += 1  # all there is to do about nearly every lease: see `HealthWatch`
                else:
                    learned = True
                    self._learn(account, lease, outcome, now)
        if now >= self.due_s:
            return self.tick(now)
        if not self._waiters.size:
            return ()
        return self._hand_off(now) if learned else self._hand_on(lease, now)

    def _learn(self, account: Account, lease: Lease, outcome: Outcome, now: float) -> None:
        self._ledger.learn(account, lease, outcome, now)
        self._look_at_the_clock()

    def _end_and_hand_off(self, lease: Lease, outcome: Outcome, now: float) -> EndedWaiters:
        if self._by_the_clock:
            return self._end_by_rules(lease, outcome, now)
        self._end(lease, outcome, now)
        return self._hand_on(lease, now)

    def _hand_on_one(self, lease: Lease, now: float) -> EndedWaiters:
        """Serve whoever can be served by what `lease` held, if nothing else has changed."""
        if lease.slots > 1 or self.kept.accounts or self._ledger.stranded:
            return self._hand_off(now)
        # No waiter could use a slot that was free before, so the one that came free now serves one at most: nearly
        # always all ask for the same, and it is plain who is next.
        waiters = self._waiters
        head = waiters.sole_head()
        if head is None or now >= head.deadline_s:
            return self._hand_off(now, most=1)
        self._serve(head, now)
        if head.lease is None and head.error is None:
            return self._hand_off(now, most=1)
        waiters.discard(head)
        if not waiters.size:
            self.release = self._idle_release
        return [head]

    def _hand_off(self, now: float, *, most: int | None = None) -> list[Waiter]:
        """Serve those who can be served, oldest claim first, but not more than `most`."""
        ended: list[Waiter] = self._fail_stranded(now) if self._ledger.stranded else []
        served = 0
        before = self.kept.free(now) if self.kept.accounts else {}
        gated = self.gates.any
        if gated:
            self.gates.free()
        for waiter in self._waiters.candidates():
            if waiter.error is not None:
                pass  # it has failed, and an interrupt came before it was taken out
            elif now >= waiter.deadline_s:
                self._expire(waiter, now)
            else:
                self._serve(waiter, now)
            if waiter.lease is not None or waiter.error is not None:
                self._waiters.discard(waiter)
                ended.append(waiter)
                served += waiter.lease is not None
                if served == most:
                    break
            elif gated or waiter.request.slots > 1:
                self._stand(waiter, now, before)
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release
        if gated:
            self.gates.observe(now)
        self._look_at_the_clock()
        return ended

    def _keep_anew(self, fresh: Waiter, now: float) -> None:
        """Keep slots for those who wait for several, oldest claim first; `fresh` gets what no older claim keeps.

        Nobody else can be served: what was kept before still is, or is granted to `fresh`.
        """
        if self.gates.any and self._is_late(now):
            return  # somebody else may be served, who must be told; that is what is due
        before = self.kept.free(now)
        self.gates.free()
        for waiter in self._waiters.candidates():
            if waiter is fresh:
                self._serve(waiter, now)
            if waiter.ended:
                self._waiters.discard(waiter)
            elif waiter.request.slots > 1 or self.gates.any:
                self._stand(waiter, now, before, stay=True)
        self.gates.observe(now)

    def _stand(self, waiter: Waiter, now: float, before: dict[object, Account], *, stay: bool = False) -> None:
        """Keep for a claim that could not be served what it needs most."""
        request = waiter.request
        if self.gates.any:
            request = self.gates.within_reach(request, waiter.since_s, now)
        if request.slots > 1:
            self.kept.keep(waiter.group, request, now, before, stay=stay)
        if self.gates.any:
            self.gates.stand(waiter.group, request, now, self.kept.accounts.get(waiter.group))

    def _serve(self, waiter: Waiter, now: float) -> None:
        self._since_s = waiter.since_s
        try:
            waiter.lease = self._grant(waiter.request, now)
        except Exception as error:
            # The strategy's fault. It is told to the waiter it failed to serve, not to whoever gave the slot
            # back; and those who were served already must still be woken.
            strategy = self._ledger.strategy.name
            waiter.error = error if isinstance(error, StrategyError) else StrategyError(strategy, f"raised {error!r}")
        if waiter.lease is not None:
            self._waits.add(now - waiter.since_s)
            if Granted in self.journal.wanted:
                self._telling.granted(waiter.lease, now - waiter.since_s)
            if self._ledger.kept is not None:
                waiter.lease.waited_s = now - waiter.since_s

    # -- where there are groups or quotas ----------------------------------------------------------

    def _take_gated(self, request: Request, now: float) -> Lease | None:
        """Take what `request` may use now; nothing, while somebody else may be served who was there before."""
        if self._waiters.size and self._is_late(now):
            return None
        lease = self.gates.take(self._take_any, request, now, now)
        self.gates.observe(now)
        return lease

    def _grant_gated(self, request: Request, now: float) -> Lease | None:
        return self.gates.take(self._ledger.take, request, self._since_s, now)

    def _release_gated(self, lease: Lease, outcome: Outcome, now: float) -> EndedWaiters:
        """End a lease while nobody waits."""
        try:
            return self._idle_any(lease, outcome, now)
        finally:
            self.gates.observe(now)

    def _hand_on_gated(self, lease: Lease, now: float) -> EndedWaiters:
        return self._hand_off(now)

    def _is_late(self, now: float) -> bool:
        """Return whether time alone would let somebody in by now, and nobody has looked yet."""
        return now >= self.gates.due_s

    def arrange(self, now: float) -> None:
        """Learn that the endpoints are others: there may be groups and quotas now, or none any more."""
        before = self.gates.any
        self.gates.arrange(now)
        if self.gates.any is not before:
            self._bind()

    def _fail_stranded(self, now: float) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        self._ledger.stranded = False
        ended: list[Waiter] = []
        if self.gates.any:  # requests that are equal may want more and fewer tokens
            for waiter in list(self._waiters):
                if not self._ledger.could_serve(waiter.request):
                    ended += self._fail([waiter], partial(self._ledger.why_not, waiter.request))
            return ended
        for request in self._waiters.requests():
            if not self._ledger.could_serve(request):
                ended += self._fail(self._waiters.asking(request), partial(self._ledger.why_not, request))
        return ended

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            waiter.error = error()  # one each: a raised error carries its own traceback
            self._waiters.discard(waiter)
        return waiters

    # -- time --------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> None:
        self.due_s = min(self._rules.due_s, self._tenures.due_s, self.gates.due_s)
        self._aim()

    def _mind(self, lease: Lease, now: float) -> None:
        """See to it that the time of `lease` ends, and that everything goes by the clock from the first such lease."""
        self._tenures.add(lease, now)
        self._look_at_the_clock()
        if not self._by_the_clock:
            self._by_the_clock = True
            self._bind()

    def _expire_lease(self, lease: Lease, now: float) -> None:
        lease.fate = f"{lease!r} ran out: its ttl_s was over, so its slot went to others; return it sooner"
        self._telling.expired(lease, now)
        self._end_as_ignored(lease, now)

    def _end_as_ignored(self, lease: Lease, now: float) -> None:
        account: Account | None = lease.account
        try:
            self._end(lease, Outcome.IGNORED, now)
        finally:  # as above
            if account is not None and lease.account is None:
                self._learn(account, lease, Outcome.IGNORED, now)

    def _expire(self, waiter: Waiter, now: float) -> None:
        self._timed_out += 1
        self.journal.note(TimedOut, now, now - waiter.since_s)
        out = self._ledger.unfit() if self._rules.any else 0
        short = self.gates.short(waiter.request, now) if self.gates.any else ()
        waiter.error = AcquireTimeout(now - waiter.since_s, waiter.deadline_s - waiter.since_s, out, short)
