"""The core: ledger, rules, queue and strategy behind one set of calls.

It is not thread-safe: a shell makes one call at a time. It calls nothing but the strategy's methods.

Methods that can end waiters return the waiters that ended, with `lease` or `error` set. The shell wakes them after it
has released its lock.
"""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import MappingProxyType

from balancer.answers import Load
from balancer.core.account import Account
from balancer.core.admission import AdmissionFilters, meters_of
from balancer.core.events import (
    Abandoned,
    Ended,
    Event,
    Expired,
    Granted,
    Hedged,
    Journal,
    Leaked,
    Retried,
    StrategyChanged,
)
from balancer.core.fairness import FairShares
from balancer.core.hand_off import EndedWaiters, HandOff
from balancer.core.lease_timers import LeaseTimers
from balancer.core.ledger import Ledger
from balancer.core.metrics import CallError, EndpointStats, HolderStats, LeaseRow, QuotaStats, WaitHistogram, WaitRow
from balancer.core.quotas import Charge
from balancer.core.readings import endpoint_stats, lease_rows, pool_counts, summary, wait_rows
from balancer.core.rules import Rules
from balancer.core.states import MembershipEvent
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Lender, Outcome
from balancer.errors import PoolClosed
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings
from balancer.strategy import Request, Strategy
from balancer.values.numbers import checked, whole

__all__ = ["Core"]

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
        holders: weights and bounds of holders, which then have fair shares; see `balancer.core.fairness`. None: waiters
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
        self.journal = journal = Journal()
        self._rules = rules = Rules(health, limits, host_caps, rng or random.Random(0), journal)
        self._timers = LeaseTimers()
        look = self._look_at_the_clock
        self.ledger = ledger = Ledger(
            endpoints,
            strategy,
            lender=lender,
            rules=rules,
            journal=journal,
            meters=meters_of(quotas),
            timed=self._time,
            look=look,
            now=now,
        )
        self.admission = AdmissionFilters(ledger, spill_after_s)
        self.shares = None if holders is None else FairShares(holders)
        self._queue = HandOff(ledger, rules, self.admission, journal, max_waiters, self.shares, look)
        self.waiters = self._queue.waiters
        self.reservations = self._queue.reservations
        self.admission.arrange(now)
        self._retries = self._hedges = 0
        self._look_at_the_clock()

    def listen(self, kinds: Collection[type[Event]]) -> None:
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
        if lease is not None and (self.shares is not None or Granted in self.journal.wanted):
            self._queue.granted(lease, now)
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
        return self._queue.serve(now) if learned else self._queue.hand_on(lease, now)

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request that `acquire` could not serve.

        The waiter may have ended already when it is returned: its claim may be older than the claim of a reservation.

        Raises:
            NoEndpoint: no endpoint in service could ever serve it.
            TooManyWaiters: the queue is full.
        """
        return self._queue.push(request, now, deadline_s, priority, wake)

    def amend(self, waiter: Waiter, request: Request, now: float) -> EndedWaiters:
        """Change the request of `waiter`, at its place in the queue. A waiting retry needs this.

        Does nothing if `waiter` has ended. `waiter` may be one of the returned waiters.

        Raises:
            NoEndpoint: no endpoint in service could ever serve `request`. Nothing is changed: it waits as before.
        """
        return self._queue.serve(now) if self._queue.amend(waiter, request) else ()

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> EndedWaiters:
        """End the wait of `waiter`, because it timed out or its caller is gone.

        Does nothing if it has ended: then its owner has the lease. Others may be served by this, if slots were reserved
        for `waiter`.
        """
        return self._queue.serve(now) if self._queue.cancel(waiter, now, timed_out=timed_out) else ()

    def cancel_all(self, waiters: Iterable[Waiter], now: float, *, timed_out: bool) -> EndedWaiters:
        """Cancel several waits, as `cancel` does, and serve the others once: O(waiters), not O(waiters x groups)."""
        serves = [self._queue.cancel(waiter, now, timed_out=timed_out) for waiter in waiters]
        return self._queue.serve(now) if any(serves) else ()

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
        self._queue.granted(lease, now)
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
        return self._queue.serve(now) if self.waiters.size else ()

    def told(self, lease: Lease, load: Load, now: float) -> EndedWaiters:
        """Set the load that the endpoint of `lease` reported. Raises LeaseError if the lease is not out."""
        self.ledger.told(lease, load, now)
        return ()

    def tick(self, now: float) -> EndedWaiters:
        """Do what is due: end expired leases, end cooldowns, continue slow starts."""
        for lease, is_over in self._timers.take_due(now):
            if is_over:
                why = "expired after its ttl_s, so its slot went to others; release it sooner"
                self._end_for(lease, Expired, now, why)
            else:
                self.journal.note_lease(Leaked, now, lease, getattr(lease, "where", ""), now - lease.granted_s)
        self.ledger.tick(now)
        return self._queue.serve(now)

    def abandon(self, leases: Sequence[Lease], now: float) -> EndedWaiters:
        """End those of `leases` that are still out. No object of the program refers to them any more."""
        for lease in leases:
            if not lease.ended:
                self._end_for(lease, Abandoned, now, "was abandoned without a release, so its slot went to others")
        return self._queue.serve(now)

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
        return self._queue.serve(now)

    def retried(self, name: str, now: float) -> EndedWaiters:
        """Count a retry of a call that failed at endpoint `name`."""
        self._retries += 1
        self.journal.note(Retried, now, name)
        return ()

    def hedged(self, name: str, now: float) -> EndedWaiters:
        """Count a hedge: a slow call is made a second time, at endpoint `name`."""
        self._hedges += 1
        self.journal.note(Hedged, now, name)
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
            self._queue.close(now)
        else:
            self._queue.serve(now)

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
        self.journal.note(StrategyChanged, now, strategy.name)
        return self._queue.serve(now)

    def close(self, now: float) -> EndedWaiters:
        """Fail every waiter and every later acquire. Leases that are out may still be released."""
        self.closed = True
        return self._queue.close(now)

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
        return endpoint_stats(self.ledger, now), pool_counts(self), self._queue.waits.copy()

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
        news = self.journal.of_lease(Ended, now, lease, outcome, held_s) if Ended in self.journal.wanted else ()
        try:
            return self.ledger.end(lease, outcome, now, news)
        finally:  # a strategy may raise after the lease has ended
            if self.shares is not None and account is not None and lease.account is None:
                self.shares.ended(lease, outcome, now)
            if self.admission.any and account is not None:
                self.ledger.kinds.settle(account, now)
                if not self.waiters.size:
                    self.ledger.kinds.observe()

    def _end_for(self, lease: Lease, kind: type[Event], now: float, why: str) -> None:
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
        return self._queue.serve(now)
