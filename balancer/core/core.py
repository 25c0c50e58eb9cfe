"""The core: ledger, rules, queue and strategy behind one set of calls.

It is not thread-safe: a shell makes one call at a time. It calls nothing but the strategy's methods.

A slot is handed on, oldest claim first. After every call, no waiter could use a slot that is free (work conservation).
So a new request that takes a free slot overtakes nobody. Reserved slots are an exception: they are kept from later
claims, for a waiter that needs several slots of one endpoint.

Methods that can end waiters return the waiters that ended, with `lease` or `error` set. The shell wakes them after it
has released its lock.
"""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from math import inf
from types import MappingProxyType

from balancer.answers import Load
from balancer.core import events
from balancer.core.account import Account
from balancer.core.admission import AdmissionFilters, Reservations, meters_of
from balancer.core.lease_timers import LeaseTimers
from balancer.core.ledger import Ledger
from balancer.core.metrics import CallError, EndpointStats, HolderStats, LeaseRow, QuotaStats, WaitHistogram, WaitRow
from balancer.core.quotas import Charge
from balancer.core.readings import endpoint_stats, lease_rows, pool_counts, summary, wait_rows
from balancer.core.rules import Rules
from balancer.core.states import MembershipEvent
from balancer.core.strategy_calls import StrategyRaised, has_no_room
from balancer.core.waiters import FairShares, Waiter, WaitQueue
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Lender, Outcome
from balancer.errors import AcquireTimeout, BalancerError, PoolClosed, StrategyError, TooManyWaiters
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings
from balancer.strategy import Request, Strategy
from balancer.values.numbers import checked, whole

__all__ = ["Core", "EndedWaiters"]

EndedWaiters = Sequence[Waiter]

# If slots are free, why a request got none takes a look at each endpoint that it admits: about 1 us. What is found
# holds for equal requests for so many seconds for each endpoint, so that looks take a hundredth of the time at most.
_LOOK_HOLDS_S = 1e-4

_NO_CAPS: Mapping[str, int] = MappingProxyType({})
_NO_QUOTAS: Mapping[str, QuotaSettings] = MappingProxyType({})


class Core:
    """Ledger, waiters and strategy behind one set of calls.

    Args:
        endpoints: the endpoints at the start; names must differ.
        strategy: chooses endpoints; it must be new.
        lender: takes leases back (the shell).
        max_waiters: how many may wait at once; None: any number.
        health, limits, host_caps: the rules; see `balancer.core.rules`.
        quotas, spill_after_s: see `balancer.core.admission`.
        holders: weights and bounds of holders, which then have fair shares; see `balancer.core.waiters`. None: waiters
            are served in the order of their claims, whoever made them.
        rng: for the jitter of cooldowns; needed with `health`.
        now: the time.

    Attributes:
        due_s: while there are waiters, a shell calls `tick` at this time. Without waiters, the next call is early
            enough.
        journal: the events that a shell passes to observers; see `listen`.
        ledger: which leases are out. Read only.
        waiters: the queue. Read only.
        admission: the failover groups and quotas. Read only.
        reservations: the slots that are reserved for waiters that need several. Read only.
        shares: the fair shares of holders, or None. Read only.
        timed_out, cancelled: how many waits timed out, and how many were cancelled.
        shells: the waiters of each shell that makes calls. A shell adds its own.
        closed: True after `close`.

    Raises:
        DuplicateEndpoint: two endpoints have one name.
        ValueError: `max_waiters` is negative, or a cap is not a whole number >= 1.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        strategy: Strategy,
        *,
        lender: Lender,
        max_waiters: int | None = None,
        health: HealthSettings | None = None,
        limits: LimitSettings | None = None,
        host_caps: Mapping[str, int] = _NO_CAPS,
        quotas: Mapping[str, QuotaSettings] = _NO_QUOTAS,
        spill_after_s: float | None = None,
        holders: Mapping[str, HolderSettings] | None = None,
        rng: random.Random | None = None,
        now: float,
    ) -> None:
        if max_waiters is not None:
            checked("max_waiters", max_waiters, partial(whole, least=0))
        self.shells: list[Iterable[Waiter]] = []
        self.closed = False
        self.journal = journal = events.Journal()
        self._rules = rules = Rules(health, limits, host_caps, rng or random.Random(0), journal)
        self._timers = LeaseTimers()
        self.ledger = ledger = Ledger(
            endpoints,
            strategy,
            lender=lender,
            rules=rules,
            journal=journal,
            meters=meters_of(quotas),
            timed=self._time,
            look=self._look_at_the_clock,
            now=now,
        )
        self.admission = AdmissionFilters(ledger, spill_after_s)
        self.shares = None if holders is None else FairShares(holders)
        self.waiters = WaitQueue(self.shares)
        self.reservations = Reservations(ledger, rules)
        self._max_waiters = max_waiters
        self._wait_times = WaitHistogram()
        self._found: dict[object, dict[str, int]] = {}  # why requests were not served, as of `_found_s`
        self._found_s = -inf
        self.admission.arrange(now)
        self.timed_out = self.cancelled = self._retries = self._hedges = 0
        self._look_at_the_clock()

    def listen(self, kinds: Collection[type[events.Event]]) -> None:
        """Record events of these kinds in `journal.happened`. Other kinds cost nothing."""
        self.journal.wanted = frozenset(kinds)

    # -- leases ------------------------------------------------------------------------------------

    def acquire(self, request: Request, now: float) -> Lease | None:
        """Return a lease, or None if the request must wait (see `wait`).

        No waiter could use a free slot, so a lease may be taken at once.

        Raises:
            PoolClosed: the pool is closed.
            StrategyError: the strategy's choice cannot serve `request`.
        """
        if self.closed:
            raise PoolClosed
        if now >= self.due_s and not self.waiters.size:  # else the shell calls `tick` in time: it may end waits
            self.tick(now)
        if self.shares is not None and self.shares.of(request).is_full:
            return None
        if not self.admission.any:
            lease = self.ledger.take(request, now)
        elif self.waiters.size and self.admission.is_late(now):
            return None  # an older waiter may be served first
        else:
            lease = self.admission.take(request, now, now)
            self.ledger.kinds.observe()
        if lease is not None and (self.shares is not None or events.Granted in self.journal.wanted):
            self._granted(lease, now)
        return lease

    def release(self, lease: Lease, outcome: Outcome, now: float) -> EndedWaiters:
        """End a lease and give its slot to a waiter.

        Raises:
            LeaseError: it is not out. Nothing is changed.
        """
        learned = self._end(lease, outcome, now)
        if now >= self.due_s and self.ledger.learns:
            return self.tick(now)
        if not self.waiters.size:
            return ()
        return self._serve(now) if learned else self._hand_on(lease, now)

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request that `acquire` could not serve.

        The waiter may have ended already when it is returned: its claim may be older than the claim of a reservation.

        Raises:
            NoEndpoint: no endpoint in service could ever serve it.
            TooManyWaiters: the queue is full.
        """
        if not self.ledger.could_serve(request):
            raise self.ledger.why_not(request)
        full = self._max_waiters is not None and self.waiters.size >= self._max_waiters
        if full and deadline_s > now:  # a request that will not wait does not fill the queue: it gets its timeout
            raise TooManyWaiters(self.waiters.size, self._max_waiters or 0)
        waiter = self.waiters.push(request, now, deadline_s, priority, wake)
        self.journal.note(events.Queued, now)
        if self.reservations.accounts or request.slots > 1 or self.admission.any:
            if self.admission.is_late(now):
                pass  # others may be served first; `tick` is due and does that
            elif self.shares is None:
                self._serve(now, fresh=waiter)
            else:
                self._reserve_last(waiter, now)
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> EndedWaiters:
        """Change the request of `waiter`, at its place in the queue. A waiting retry needs this.

        Does nothing if `waiter` has ended. `waiter` may be one of the returned waiters.

        Raises:
            NoEndpoint: no endpoint in service could ever serve `request`. Nothing is changed: it waits as before.
        """
        if waiter.ended or (
            request == waiter.request
            and (request.key, request.terms, request.tokens)
            == (waiter.request.key, waiter.request.terms, waiter.request.tokens)
        ):
            return ()
        if not self.ledger.could_serve(request):
            raise self.ledger.why_not(request)
        self.waiters.amend(waiter, request)
        return self._serve(now)

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> EndedWaiters:
        """End the wait of `waiter`, because it timed out or its caller is gone.

        Does nothing if it has ended: then its owner has the lease. Others may be served by this, if slots were reserved
        for `waiter`.
        """
        return self._serve(now) if self._cancel(waiter, now, timed_out=timed_out) else ()

    def cancel_all(self, waiters: Iterable[Waiter], now: float, *, timed_out: bool) -> EndedWaiters:
        """Cancel several waits, as `cancel` does, and serve the others once: O(waiters), not O(waiters x groups)."""
        serves = [self._cancel(waiter, now, timed_out=timed_out) for waiter in waiters]
        return self._serve(now) if any(serves) else ()

    def adopt(self, name: str, slots: int, terms: LeaseTerms | None, tokens: int | None, now: float) -> Lease | None:
        """Add a lease of the endpoint `name` that is out already; None if there is no such endpoint.

        For a coordinator that restarts: its members report the leases that are out (see `balancer.cluster.protocol`).
        There must be no waiters yet.
        """
        lease = self.ledger.adopt(name, slots, terms, now)
        if lease is None:
            return None
        account: Account = lease.account
        if account.meter is not None:
            fits = account.meter.could_ever(tokens)
            lease.charge = account.meter.take(tokens if fits else None, now)
        self._granted(lease, now)
        self._look_at_the_clock()
        return lease

    def used(self, lease: Lease, tokens: int, now: float) -> EndedWaiters:
        """Set how many tokens the call of `lease` has used so far; a quota counts.

        Raises:
            LeaseError: it is not out. Nothing is changed.
        """
        self.ledger.check_out(lease)
        if self.shares is not None:
            self.shares.used(lease, tokens)
        charge: Charge | None = getattr(lease, "charge", None)
        if charge is None:
            return ()
        charge.meter.settle(charge, tokens, now)
        return self._serve(now) if self.waiters.size else ()

    def told(self, lease: Lease, load: Load, now: float) -> EndedWaiters:
        """Set the load that the endpoint of `lease` reported. Raises LeaseError if the lease is not out."""
        self.ledger.told(lease, load, now)
        return ()

    def tick(self, now: float) -> EndedWaiters:
        """Do what is due: end expired leases, end cooldowns, continue slow starts."""
        for lease, is_over in self._timers.take_due(now):
            if is_over:
                why = "expired after its ttl_s, so its slot went to others; release it sooner"
                self._end_for(lease, events.Expired, now, why)
            else:
                self.journal.note_lease(events.Leaked, now, lease, getattr(lease, "where", ""), now - lease.granted_s)
        self.ledger.tick(now)
        return self._serve(now)

    def abandon(self, leases: Sequence[Lease], now: float) -> EndedWaiters:
        """End those of `leases` that are still out. No object of the program refers to them any more."""
        for lease in leases:
            if not lease.ended:
                why = "was abandoned without a release, so its slot went to others"
                self._end_for(lease, events.Abandoned, now, why)
        return self._serve(now)

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> EndedWaiters:
        """End the lease with this id, even if its holder still uses it. A later release of it is refused.

        Raises:
            LeaseError: no lease with this id is out.
        """
        lease = self.ledger.lease(id)
        lease.fate = f"the lease of {lease.endpoint.name} was ended by its id; a lease ends once"
        return self.release(lease, outcome, now)

    # -- what happens to endpoints and calls -------------------------------------------------------

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> EndedWaiters:
        """Record a ping of the endpoint `name`. Does nothing if the endpoint has gone.

        A `conclusive` ping ran a program: a good one brings back an endpoint that is half open.
        """
        self.ledger.pinged(name, ok, now, conclusive=conclusive)
        return self._serve(now)

    def retried(self, name: str, now: float) -> EndedWaiters:
        """Count a retry of a call that failed at endpoint `name`."""
        self._retries += 1
        self.journal.note(events.Retried, now, name)
        return ()

    def hedged(self, name: str, now: float) -> EndedWaiters:
        """Count a hedge: a slow call is made a second time, at endpoint `name`."""
        self._hedges += 1
        self.journal.note(events.Hedged, now, name)
        return ()

    # -- when something went wrong -----------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Repair the state after a call was cut short by an interrupt or by a strategy that raised. O(N).

        Waiters that no shell has are dropped: the call that made them was cut short. Others may have ended: see
        `ended`.

        Raises:
            RecursionError: the stack has no room for this; it must be called again. See `has_no_room`.
        """
        self.waiters.mend(set(chain(*self.shells)))  # first, as it calls no strategy
        self.ledger.recount(now)
        self.admission.recount(now)
        if self.shares is not None:
            self.shares.recount(self.ledger.out.values(), now)
        if self.closed:
            self.close(now)
        else:
            self._serve(now)

    def ended(self) -> EndedWaiters:
        """Return the waiters that have ended, while their shells still have them. After `recover`, wake these."""
        return [waiter for waiter in chain(*self.shells) if waiter.ended]

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float, *, slowly: bool = False) -> EndedWaiters:
        """Take an endpoint into service, or back into it; `slowly`: with a slow start, if health is watched.

        Raises:
            DuplicateEndpoint: an active endpoint has this name.
            ValueError: the pool does not have the quota that it names.
        """
        self.ledger.add(endpoint, now, slowly=slowly)
        return self._changed(now)

    def update(self, endpoint: Endpoint, now: float) -> EndedWaiters:
        """Replace the specification of the endpoint with this name. Raises UnknownEndpoint, ValueError (its quota)."""
        self.ledger.update(endpoint, now)
        return self._changed(now)

    def drain(self, name: str, now: float) -> EndedWaiters:
        """Grant no new leases of endpoint `name`, but keep it listed. Raises UnknownEndpoint."""
        self.ledger.leave(name, MembershipEvent.DRAIN, now)
        return self._changed(now)

    def remove(self, name: str, now: float) -> EndedWaiters:
        """Grant no new leases of endpoint `name`, and forget it once idle. Raises UnknownEndpoint."""
        self.ledger.leave(name, MembershipEvent.REMOVE, now)
        return self._changed(now)

    def set_strategy(self, strategy: Strategy, now: float) -> EndedWaiters:
        """Replace the strategy by a new one. Leases and waiters stay."""
        self.ledger.use(strategy, now)
        self.journal.note(events.StrategyChanged, now, strategy.name)
        return self._serve(now)

    def close(self, now: float) -> EndedWaiters:
        """Fail every waiter and every later acquire. Leases that are out may still be released."""
        self.closed = True
        self.reservations.free(now)
        self.admission.free()
        return self._fail(list(self.waiters), PoolClosed)

    # -- who is next -------------------------------------------------------------------------------

    def _hand_on(self, lease: Lease, now: float) -> list[Waiter]:
        """Give the slots of `lease` to a waiter, if nothing else has changed. Return the waiters that ended.

        No waiter could use a slot that was free before. So one free slot serves at most one waiter. Nearly always all
        waiters ask for the same, so the next one is known at once.
        """
        if lease.slots > 1 or self.reservations.accounts or self.ledger.stranded or self.admission.any:
            return self._serve(now)
        if self.shares is not None and self.shares.bounded:  # one that was passed over may use a slot that was free
            return self._serve(now)
        head = self.waiters.sole_head()
        if head is None or now >= head.deadline_s:
            return self._serve(now, most=1)
        self._grant(head, now)
        if head.ended:
            self.waiters.discard(head)
        if head.lease is not None:
            return [head]
        failed = [head] if head.ended else []  # else it may be served now, and ends once
        return [*failed, *self._serve(now, most=1)]  # also after an error of the strategy: the slot is still free

    def _serve(self, now: float, *, most: int | None = None, fresh: Waiter | None = None) -> list[Waiter]:
        """Serve waiters, oldest claim first, at most `most` of them. Return the waiters that ended.

        If `fresh` has just come, no other waiter can be served: slots that were reserved before stay reserved, or
        `fresh` gets them.
        """
        ended: list[Waiter] = self._fail_stranded() if self.ledger.stranded and fresh is None else []
        served = 0
        before = self.reservations.free(now) if self.reservations.accounts else {}
        filtered = self.admission.any
        if filtered:
            self.admission.free()
        for waiter in self.waiters.candidates(now):
            if not self.ledger.free and not self.waiters.wide:
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
            self.ledger.kinds.observe()
        self._look_at_the_clock()
        return ended

    def _granted(self, lease: Lease, now: float, waited_s: float = 0.0) -> None:
        """Count a lease that was taken, and tell of it."""
        if waited_s:
            self._wait_times.add(waited_s)
            if self.ledger.sinks:
                lease.waited_s = waited_s
        self.journal.note_lease(events.Granted, now, lease, waited_s)
        if self.shares is not None:
            self.shares.started(lease, now, waited_s)

    # -- looking -----------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many waiters there are."""
        return self.waiters.size

    @property
    def lapse_s(self) -> float:
        """When the next lease timer is due. A shell calls `tick` then, even without waiters."""
        return self._timers.due_s

    def out_of_service(self) -> frozenset[str]:
        """Return the names of endpoints that are out of service for now: ejected, resting or spent.

        Costs O(1), or O(those that are out) after a change.
        """
        return self.ledger.kinds.out_of_service()

    def leases(self, now: float) -> list[LeaseRow]:
        """Return a row for each lease that is out, oldest first; O(leases out)."""
        if now >= self.due_s and not self.waiters.size:
            self.tick(now)
        return lease_rows(self.ledger, now)

    def waits(self) -> list[WaitRow]:
        """Return a row for each holder that waits, of the first 2000 waiters."""
        return wait_rows(self.waiters)

    def errors(self, name: str) -> list[CallError]:
        """Return the last failures and overloads of an endpoint, oldest first. Raises UnknownEndpoint."""
        kept = self.ledger.account(name).errors or ()
        return [CallError(at_s, outcome.value, said) for at_s, outcome, said in kept]

    def quotas(self, now: float) -> list[QuotaStats]:
        """Return how much of each quota is used; an empty list if there are no quotas."""
        return self.admission.usage(now)

    def holders(self, now: float) -> list[HolderStats]:
        """Return the figures of each holder; an empty list if there are no fair shares. O(holders)."""
        return [] if self.shares is None else self.shares.stats(now)

    def counters(self, now: float) -> tuple[list[EndpointStats], dict[str, int], WaitHistogram]:
        """Return copies of the input of `PoolStats.of`, so that a shell can make the sums outside its lock."""
        if now >= self.due_s and not self.waiters.size:
            self.tick(now)
        return endpoint_stats(self.ledger, now), pool_counts(self), self._wait_times.copy()

    def __repr__(self) -> str:
        return summary(self.ledger, waiting=self.waiters.size, closed=self.closed)

    # -- inside ------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> None:
        self.due_s = min(self._rules.due_s, self._timers.due_s, self.admission.due_s)

    def _end(self, lease: Lease, outcome: Outcome, now: float) -> bool:
        """End a lease. Record an event or a share if somebody wants it."""
        account: Account | None = lease.account
        held_s = now - lease.granted_s
        # Made before the end, and added by a call into C: an interrupt can only come at a call of Python code.
        wanted = events.Ended in self.journal.wanted
        news = self.journal.of_lease(events.Ended, now, lease, outcome, held_s) if wanted else ()
        try:
            return self.ledger.end(lease, outcome, now, news)
        finally:  # a strategy may raise after the lease has ended
            if self.shares is not None and account is not None and lease.account is None:
                self.shares.ended(lease, outcome, now)
            if self.admission.any and account is not None:
                self.ledger.kinds.settle(account, now)
                if not self.waiters.size:
                    self.ledger.kinds.observe()

    def _end_for(self, lease: Lease, kind: type[events.Event], now: float, why: str) -> None:
        """End a lease that its holder did not return. `why`: what a later release is told."""
        lease.fate = f"the lease of {lease.endpoint.name} {why}"
        self.journal.note_lease(kind, now, lease, now - lease.granted_s)
        self._end(lease, Outcome.IGNORED, now)

    def _time(self, lease: Lease, now: float) -> None:
        """Schedule the lease's expiry. From the first such lease on, every end is looked at."""
        self.ledger.learns = True  # so that its end is seen
        self._timers.add(lease, now)
        self._look_at_the_clock()

    def _changed(self, now: float) -> EndedWaiters:
        """Update the admission filters after a change of endpoints, and serve the waiters."""
        self.admission.arrange(now)
        return self._serve(now)

    def _fail_stranded(self) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        self.ledger.stranded = False
        ended: list[Waiter] = []
        for group in list(self.waiters.groups.values()):
            # With quotas, equal requests may have different token counts.
            alike = [[waiter] for waiter in group.waiters] if self.admission.any else [list(group.waiters)]
            for waiters in alike:
                if not self.ledger.could_serve(waiters[0].request):
                    ended += self._fail(waiters, partial(self.ledger.why_not, waiters[0].request))
        return ended

    def _cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> bool:
        """End the wait of `waiter` without a lease. Return whether others may be served by that."""
        if waiter.ended:
            return False
        if timed_out:
            self._expire(waiter, now)
        else:
            self.cancelled += 1
            waiter.error = BalancerError("the wait was cancelled")
        self.waiters.discard(waiter)  # last: an interrupt before leaves an ended waiter in the queue; none is lost
        return bool(self.reservations.accounts) or self.admission.any

    def _grant(self, waiter: Waiter, now: float) -> None:
        try:
            if self.admission.any:
                waiter.lease = self.admission.take(waiter.request, waiter.since_s, now)
            else:
                waiter.lease = self.ledger.take(waiter.request, now)
        except Exception as error:
            # An error of the strategy goes to the waiter that it failed to serve, not to the caller that released the
            # slot. And the waiters that were served before must still be woken.
            if has_no_room(error):  # the caller's stack is full; the waiter is served when the core is repaired
                raise
            name = self.ledger.strategy.name
            if isinstance(error, StrategyRaised):
                waiter.error = StrategyError(name, error.reason)  # of a waiter: its thread has nothing to repair
            else:
                waiter.error = error if isinstance(error, StrategyError) else StrategyError(name, f"raised {error!r}")
        if waiter.lease is not None:
            self._granted(waiter.lease, now, now - waiter.since_s)

    def _reserve_last(self, fresh: Waiter, now: float) -> None:
        """Reserve slots for `fresh` behind all others. The order of holders changes with time, so it is not looked at
        here: the next hand-off does that, for all of them.
        """
        group = fresh.group
        if group.head is fresh and not group.holder.is_full and (fresh.request.slots > 1 or self.admission.any):
            self._reserve(fresh, now, {})
        self.ledger.kinds.observe()
        self._look_at_the_clock()

    def _reserve(self, waiter: Waiter, now: float, before: dict[object, Account], *, stay: bool = False) -> None:
        """Reserve slots, or keep a quota, for a claim that could not be served."""
        request = waiter.request
        if self.admission.any:
            request = self.admission.within_reach(request, waiter.since_s, now)
        if request.slots > 1:
            self.reservations.keep(waiter.group, request, now, before, stay=stay)
        if self.admission.any:
            reserved = self.reservations
            self.admission.stand(waiter.group, request, now, reserved.accounts.get(waiter.group), reserved.held)

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            waiter.error = error()  # a new error for each: a raised error has its own traceback
            self.waiters.discard(waiter)
        return waiters

    def _expire(self, waiter: Waiter, now: float) -> None:
        self.timed_out += 1
        self.journal.note(events.TimedOut, now, now - waiter.since_s)
        out = self.ledger.kinds.out
        short = self.admission.short(waiter.request, now) if self.admission.any and self.ledger.free else ()
        full = self.shares is not None and self.shares.of(waiter.request).is_full
        timeout_s = waiter.deadline_s - waiter.since_s
        reasons = self._reasons(waiter, now) if timeout_s > 0 and not full else {}  # a mere look stays cheap
        waiter.error = AcquireTimeout(now - waiter.since_s, timeout_s, out, short, full=full, reasons=reasons)

    def _reasons(self, waiter: Waiter, now: float) -> dict[str, int]:
        request = waiter.request
        if not self.ledger.free:
            return self.ledger.kinds.why_not_taken(request, None)
        if now >= self._found_s + _LOOK_HOLDS_S * self.ledger.kinds.size:
            self._found, self._found_s = {}, now
        # Others are served before one that is not the head of its group, or if something is due.
        is_next = waiter.group.head is waiter and not self.admission.is_late(now)
        asked = request, request.tokens, is_next
        if asked not in self._found:
            hides = self.admission.hides(request, waiter.since_s, now)
            self._found[asked] = self.ledger.kinds.why_not_taken(request, hides)
            if not is_next:
                self._found[asked].pop("passed over", None)
        return self._found[asked]
