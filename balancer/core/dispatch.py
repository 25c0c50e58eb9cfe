"""The core a shell drives: leases for those who ask, a hand-off for those who wait.

Decides when a waiter is served and when it fails. After every call this holds: no waiter could use a
slot that is free (work conservation), so a new request that finds a free slot overtakes nobody. But for
slots that are kept: whoever waits for several slots at once has those of one endpoint kept from later claims.
The core must not know clocks, threads or sockets; it is not thread-safe, and calls nothing but the
strategy's methods.

Methods that can end waiters return those that ended. Their `lease` or `error` is set; the shell wakes
them once it has let go of its lock.
"""

import random
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from types import MappingProxyType

from balancer.core.account import Account, State
from balancer.core.events import (
    Ended,
    Event,
    Granted,
    Hedged,
    Journal,
    Queued,
    Retried,
    StrategyChanged,
    TimedOut,
)
from balancer.core.kept import KeptSlots
from balancer.core.ledger import Ledger
from balancer.core.metrics import EndpointStats, LeaseRow, WaitHistogram
from balancer.core.portrait import portrait
from balancer.core.readings import endpoint_stats, lease_rows
from balancer.core.rules import Rules
from balancer.core.telling import Telling
from balancer.core.tenures import Tenures
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import AcquireTimeout, BalancerError, NoEndpoint, PoolClosed, StrategyError, TooManyWaiters
from balancer.settings.numbers import checked, whole
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.strategy import Request, Strategy

__all__ = ["Core"]

Served = Sequence[Waiter]

_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find
_NO_CAPS: Mapping[str, int] = MappingProxyType({})


class Core:
    """Ledger, waiters and strategy behind one set of calls.

    Args:
        endpoints: those in service from the start; names must differ.
        strategy: chooses; it must be fresh.
        lender: who the leases go back to (the shell).
        max_waiters: how many may wait at once; None for any number.
        health, limits, host_caps: the rules around the strategy; see `balancer.core.rules`.
        rng: for the jitter of cooldowns; needed with `health`.
        now: the shell's clock.

    Attributes:
        due_s: while somebody waits, a shell calls `tick` at this instant. Else the next call is early enough.
        journal: what has happened, for a shell to tell; see `listen`.
        kept: the slots that are kept for those who wait for several; to look at, not to change.

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
        rng: random.Random | None = None,
        now: float,
    ) -> None:
        if max_waiters is not None:
            checked("max_waiters", max_waiters, partial(whole, least=0))
        self.journal = Journal()
        self._rules = Rules(health, limits, host_caps, rng or random.Random(0), self.journal)
        self._tenures = Tenures()
        self._by_the_clock = self._rules.any
        self._ledger = Ledger(
            endpoints, strategy, lender=lender, rules=self._rules, journal=self.journal, timed=self._mind, now=now
        )
        self.kept = KeptSlots(self._ledger, self._rules)
        self._telling = Telling(self._ledger, self.journal)
        self._waiters = WaitQueue()
        self._max_waiters = max_waiters
        self._waits = WaitHistogram()
        self._timed_out = self._retries = self._hedges = 0
        self._closed = False
        self.due_s = self._rules.due_s
        self.acquire: Callable[[Request, float], Lease | None]
        """Return a lease at once, or None if it takes waiting (see `wait`); PoolClosed once it is closed."""
        self.release: Callable[[Lease, Outcome, float], Served]
        """End a lease and hand its slot on; LeaseError, and nothing changed, if it is not out."""
        self._bind()

    def listen(self, kinds: Collection[type[Event]]) -> None:
        """Write down what happens, of these kinds, in `journal.happened`; of others nothing. It costs nothing else."""
        self.journal.wanted = frozenset(kinds)
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
        self._aim()
        self._idle_release = self._end_by_rules if self._by_the_clock else self._end
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release

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
            raise self._no_endpoint(request)
        full = self._max_waiters is not None and self._waiters.size >= self._max_waiters
        if full and deadline_s > now:  # one that will not wait is no burden: it gets its time-out
            raise TooManyWaiters(self._waiters.size, self._max_waiters or 0)
        waiter = self._waiters.push(request, now, deadline_s, priority, wake)
        if Queued in self.journal.wanted:
            self.journal.note(Queued, now)
        if self.kept.accounts or request.slots > 1:
            self._keep_anew(waiter, now)
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> Served:
        """Let `waiter` ask for `request` from now on, at its place in the queue, as a retry that waits does.

        Does nothing to one that has ended. Returns those that this served; `waiter` may be one of them.

        Raises:
            NoEndpoint: nobody in service could ever serve `request`. Nothing is changed: it waits on as before.
        """
        if waiter.ended or (
            request == waiter.request and (request.key, request.terms) == (waiter.request.key, waiter.request.terms)
        ):
            return ()
        if not self._ledger.could_serve(request):
            raise self._no_endpoint(request)
        self._waiters.amend(waiter, request)
        return self._hand_off(now)

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> Served:
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
        return self._hand_off(now) if self.kept.accounts else ()

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> Served:
        """End the lease that is out under this id, whoever holds it; a later return of it is refused.

        Raises:
            LeaseError: there is none.
        """
        lease = self._ledger.lease(id)
        lease.fate = f"{lease!r} was ended by its id; a lease ends once"
        return self.release(lease, outcome, now)

    # -- rules -------------------------------------------------------------------------------------

    def tick(self, now: float) -> Served:
        """Let time do what is due: end leases whose time is over, end cooldowns, go on with slow starts."""
        for lease, is_over in self._tenures.take_due(now):
            if is_over:
                self._expire_lease(lease, now)
            else:
                self._telling.leaked(lease, now)
        self._ledger.tick(now)
        return self._hand_off(now)

    def out_of_service(self) -> frozenset[str]:
        """Return the names of those that serve nobody for now because of their health; O(those that are out)."""
        return self._rules.out_of_service()

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> Served:
        """Learn from an active probe of the endpoint `name`; of an endpoint that has gone, nothing.

        A `conclusive` one ran a program: it can bring back an endpoint whose cooldown is over.
        """
        self._ledger.pinged(name, ok, now, conclusive=conclusive)
        return self._hand_off(now)

    # -- what calls do -----------------------------------------------------------------------------

    def retried(self, name: str, now: float) -> Served:
        """Learn that a call that failed at endpoint `name` is made again."""
        self._retries += 1
        self.journal.note(Retried, now, name)
        return ()

    def hedged(self, name: str, now: float) -> Served:
        """Learn that a call that is slow is made a second time, at endpoint `name`."""
        self._hedges += 1
        self.journal.note(Hedged, now, name)
        return ()

    # -- when something went wrong -----------------------------------------------------------------

    def recover(self, now: float, waiting: Container[Waiter]) -> Served:
        """Make good what a call left undone that was cut short, by a strategy that raised or by an interrupt. O(N).

        Of the waiters only those are left that are in `waiting`: of another one the shell never heard.
        """
        self._ledger.recount()
        self._waiters.mend(waiting)
        return self._fail(list(self._waiters), PoolClosed) if self._closed else self._hand_off(now)

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> Served:
        """Take an endpoint into service, or back into it. Raises DuplicateEndpoint if it is active already."""
        self._ledger.add(endpoint, now)
        return self._hand_off(now)

    def update(self, endpoint: Endpoint, now: float) -> Served:
        """Replace the spec of the endpoint with this name. Raises UnknownEndpoint if there is none."""
        self._ledger.update(endpoint, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def drain(self, name: str, now: float) -> Served:
        """Grant no new lease of endpoint `name`, but keep it listed. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(name, State.DRAINING, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def remove(self, name: str, now: float) -> Served:
        """Grant no new lease of endpoint `name` and forget it once idle. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(name, State.RETIRING, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def set_strategy(self, strategy: Strategy, now: float) -> Served:
        """Let a fresh `strategy` choose from now on; leases and waiters carry over."""
        self._ledger.use(strategy, now)
        self.journal.note(StrategyChanged, now, strategy.name)
        return self._hand_off(now)

    def close(self, now: float) -> Served:
        """Fail every waiter and every later acquire; leases out may still be returned."""
        self._closed = True
        self.acquire = _refuse
        self.kept.free(now)
        return self._fail(list(self._waiters), PoolClosed)

    # -- looking -----------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiters.size

    @property
    def ledger(self) -> Ledger:
        """Who holds what; to look at, not to change."""
        return self._ledger

    @property
    def lapse_s(self) -> float:
        """When the time of a lease is over: a shell calls `tick` then, even if nobody waits."""
        return self._tenures.due_s

    def leases(self, now: float) -> list[LeaseRow]:
        """Return what there is to see of the leases that are out, oldest first; O(those)."""
        if now >= self.due_s and not self._waiters.size:
            self.tick(now)
        return lease_rows(self._ledger, now)

    def counters(self, now: float) -> tuple[list[EndpointStats], dict[str, int], WaitHistogram]:
        """Return what `PoolStats.of` needs, copied, so that the sums can be done outside a lock."""
        if now >= self.due_s and not self._waiters.size:
            self.tick(now)
        totals = {
            "acquired": self._ledger.granted,
            "timed_out": self._timed_out,
            "waiting": self._waiters.size,
            "calls": self._ledger.calls,
            "failures": self._ledger.failures,
            "overloads": self._ledger.overloads,
            "retries": self._retries,
            "hedges": self._hedges,
            "ejections": self._rules.ejections,
        }
        return endpoint_stats(self._ledger, now), totals, self._waits.copy()

    def __repr__(self) -> str:
        waiting, panic = self._waiters.size, self._rules.panic
        return portrait(self._ledger, waiting=waiting, panic=panic, closed=self._closed)

    # -- inside ------------------------------------------------------------------------------------

    def _take_in_time(self, request: Request, now: float) -> Lease | None:
        # While somebody waits the shell sees to it that `tick` is called in time: it may end waits.
        if now >= self.due_s and not self._waiters.size:
            self.tick(now)
        return self._take(request, now)

    def _end_by_rules(self, lease: Lease, outcome: Outcome, now: float) -> Served:
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

    def _end_and_hand_off(self, lease: Lease, outcome: Outcome, now: float) -> Served:
        if self._by_the_clock:
            return self._end_by_rules(lease, outcome, now)
        self._end(lease, outcome, now)
        return self._hand_on(lease, now)

    def _hand_on(self, lease: Lease, now: float) -> Served:
        """Serve whoever can be served by what `lease` held, if nothing else has changed."""
        if lease.slots > 1 or self.kept.accounts:
            return self._hand_off(now)
        # No waiter could use a slot that was free before, so the one that came free now serves one at most.
        ended = self._serve_head(now) or self._hand_off(now, most=1)
        if not self._waiters.size:
            self.release = self._idle_release
        return ended

    def _serve_head(self, now: float) -> Served:
        """Serve the head of the queue if that is plainly who is next: nearly always all ask for the same."""
        head = self._waiters.sole_head
        if head is None or now >= head.deadline_s:
            return ()
        self._serve(head, now)
        if head.lease is None and head.error is None:
            return ()
        self._waiters.discard(head)
        return [head]

    def _hand_off(self, now: float, *, most: int | None = None) -> list[Waiter]:
        """Serve those who can be served, oldest claim first, but not more than `most`."""
        self._look_at_the_clock()
        ended: list[Waiter] = []
        served = 0
        before = self.kept.free(now) if self.kept.accounts else {}
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
            elif waiter.request.slots > 1:
                self.kept.keep(waiter.group, waiter.request, now, before)
        self.release = self._end_and_hand_off if self._waiters.size else self._idle_release
        return ended

    def _keep_anew(self, fresh: Waiter, now: float) -> None:
        """Keep slots for those who wait for several, oldest claim first; `fresh` gets what no older claim keeps.

        Nobody else can be served: what was kept before still is, or is granted to `fresh`.
        """
        before = self.kept.free(now)
        for waiter in self._waiters.candidates():
            if waiter is fresh:
                self._serve(waiter, now)
            if waiter.ended:
                self._waiters.discard(waiter)
            elif waiter.request.slots > 1:
                self.kept.keep(waiter.group, waiter.request, now, before, stay=True)

    def _serve(self, waiter: Waiter, now: float) -> None:
        try:
            waiter.lease = self._ledger.take(waiter.request, now)
        except Exception as error:
            # The strategy's fault. It is told to the waiter it failed to serve, not to whoever gave the slot
            # back; and those who were served already must still be woken.
            strategy = self._ledger.strategy.name
            waiter.error = error if isinstance(error, StrategyError) else StrategyError(strategy, f"raised {error!r}")
        if waiter.lease is not None:
            self._waits.add(now - waiter.since_s)
            if Granted in self.journal.wanted:
                self._telling.granted(waiter.lease, now - waiter.since_s)

    # -- time --------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> None:
        self.due_s = min(self._rules.due_s, self._tenures.due_s)
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
        waiter.error = AcquireTimeout(now - waiter.since_s, waiter.deadline_s - waiter.since_s, out)

    def _fail_stranded(self, now: float) -> list[Waiter]:
        """Fail the waiters that no endpoint in service could ever serve any more."""
        ended: list[Waiter] = []
        for request in self._waiters.requests():
            if not self._ledger.could_serve(request):
                ended += self._fail(self._waiters.asking(request), partial(self._no_endpoint, request))
        return ended

    def _fail(self, waiters: list[Waiter], error: Callable[[], BalancerError]) -> list[Waiter]:
        for waiter in waiters:
            waiter.error = error()  # one each: a raised error carries its own traceback
            self._waiters.discard(waiter)
        return waiters

    def _no_endpoint(self, request: Request) -> NoEndpoint:
        return NoEndpoint(request.labels, request.exclude, len(self._ledger.active()), request.slots)


def _refuse(request: Request, now: float) -> Lease | None:
    raise PoolClosed
