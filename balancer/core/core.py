"""The core that a shell drives: ledger, rules, queue and strategy behind one set of calls.

Decides what becomes of the waiters when endpoints come, change and go, and when the pool is closed; who is served
and when is decided in `Serving`, on which it is built. The core must not know clocks, threads or sockets; it is not
thread-safe, and calls nothing but the strategy's methods.

Methods that can end waiters return those that ended. Their `lease` or `error` is set; the shell wakes
them once it has let go of its lock.
"""

import random
from collections.abc import Collection, Container, Iterable, Mapping
from functools import partial
from types import MappingProxyType

from balancer.core.account import MembershipState
from balancer.core.admission import AdmissionFilters
from balancer.core.events import Event, Hedged, Journal, Retried, StrategyChanged
from balancer.core.ledger import Ledger
from balancer.core.metrics import EndpointStats, LeaseRow, QuotaStats, WaitHistogram
from balancer.core.portrait import portrait
from balancer.core.readings import endpoint_stats, lease_rows
from balancer.core.rules import Rules
from balancer.core.serving import EndedWaiters, Serving
from balancer.core.timing import CountedWaits, LeaseTimes
from balancer.core.waiters import Waiter
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import PoolClosed
from balancer.settings.rules import HealthSettings, LimitSettings, QuotaSettings
from balancer.strategy import Request, Strategy
from balancer.values.numbers import checked, whole

__all__ = ["Core"]

_NO_CAPS: Mapping[str, int] = MappingProxyType({})
_NO_QUOTAS: Mapping[str, QuotaSettings] = MappingProxyType({})


class Core(Serving):
    """Ledger, waiters and strategy behind one set of calls.

    Args:
        endpoints: those in service from the start; names must differ.
        strategy: chooses; it must be fresh.
        lender: who the leases go back to (the shell).
        max_waiters: how many may wait at once; None for any number.
        health, limits, host_caps: the rules around the strategy; see `balancer.core.rules`.
        quotas, spill_after_s: what bounds calls a minute, and when a failover group gives way; see
            `balancer.core.admission`.
        rng: for the jitter of cooldowns; needed with `health`.
        now: the shell's clock.

    Attributes:
        due_s, journal, kept: those of `Serving`.

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
        rng: random.Random | None = None,
        now: float,
    ) -> None:
        if max_waiters is not None:
            checked("max_waiters", max_waiters, partial(whole, least=0))
        journal = Journal()
        rules = Rules(health, limits, host_caps, rng or random.Random(0), journal)
        ledger = Ledger(endpoints, strategy, lender=lender, rules=rules, journal=journal, timed=self._mind, now=now)
        super().__init__(ledger, rules, journal, max_waiters, AdmissionFilters(ledger, quotas, spill_after_s))
        for account in ledger.accounts():
            self.gates.check(account.endpoint)
        self.arrange(now)
        self._retries = self._hedges = 0

    def listen(self, kinds: Collection[type[Event]]) -> None:
        """Write down what happens, of these kinds, in `journal.happened`; of others nothing. It costs nothing else."""
        self.journal.wanted = frozenset(kinds)
        self._bind()

    # -- leases ------------------------------------------------------------------------------------

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> EndedWaiters:
        """End the lease that is out under this id, whoever holds it; a later return of it is refused.

        Raises:
            LeaseError: there is none.
        """
        lease = self._ledger.lease(id)
        lease.fate = f"{lease!r} was ended by its id; a lease ends once"
        return self.release(lease, outcome, now)

    # -- what happens to endpoints and calls -------------------------------------------------------

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> EndedWaiters:
        """Learn from an active probe of the endpoint `name`; of an endpoint that has gone, nothing.

        A `conclusive` one ran a program: it can bring back an endpoint whose cooldown is over.
        """
        self._ledger.pinged(name, ok, now, conclusive=conclusive)
        return self._hand_off(now)

    def retried(self, name: str, now: float) -> EndedWaiters:
        """Learn that a call that failed at endpoint `name` is made again."""
        self._retries += 1
        self.journal.note(Retried, now, name)
        return ()

    def hedged(self, name: str, now: float) -> EndedWaiters:
        """Learn that a call that is slow is made a second time, at endpoint `name`."""
        self._hedges += 1
        self.journal.note(Hedged, now, name)
        return ()

    # -- when something went wrong -----------------------------------------------------------------

    def recover(self, now: float, waiting: Container[Waiter]) -> EndedWaiters:
        """Make good what a call left undone that was cut short, by a strategy that raised or by an interrupt. O(N).

        Of the waiters only those are left that are in `waiting`: of another one the shell never heard.
        """
        self._ledger.recount(now)
        self.gates.recount()
        self._waiters.mend(waiting)
        return self._fail(list(self._waiters), PoolClosed) if self._closed else self._hand_off(now)

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> EndedWaiters:
        """Take an endpoint into service, or back into it.

        Raises:
            DuplicateEndpoint: it is active already.
            ValueError: it names a quota that there is not.
        """
        self.gates.check(endpoint)
        self._ledger.add(endpoint, now)
        self._arrange_for(endpoint, now)
        return self._hand_off(now)

    def update(self, endpoint: Endpoint, now: float) -> EndedWaiters:
        """Replace the spec of the endpoint with this name. Raises UnknownEndpoint if there is none."""
        self.gates.check(endpoint)
        self._ledger.update(endpoint, now)
        self._arrange_for(endpoint, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def drain(self, name: str, now: float) -> EndedWaiters:
        """Grant no new lease of endpoint `name`, but keep it listed. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(name, MembershipState.DRAINING, now)
        self._arrange_for(None, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def remove(self, name: str, now: float) -> EndedWaiters:
        """Grant no new lease of endpoint `name` and forget it once idle. Raises UnknownEndpoint if there is none."""
        self._ledger.stop(name, MembershipState.RETIRING, now)
        self._arrange_for(None, now)
        return self._fail_stranded(now) + self._hand_off(now)

    def set_strategy(self, strategy: Strategy, now: float) -> EndedWaiters:
        """Let a fresh `strategy` choose from now on; leases and waiters carry over."""
        self._ledger.use(strategy, now)
        self.journal.note(StrategyChanged, now, strategy.name)
        return self._hand_off(now)

    def close(self, now: float) -> EndedWaiters:
        """Fail every waiter and every later acquire; leases out may still be returned."""
        self._closed = True
        self.acquire = _refuse
        self.kept.free(now)
        self.gates.free()
        return self._fail(list(self._waiters), PoolClosed)

    def _arrange_for(self, endpoint: Endpoint | None, now: float) -> None:
        if self.gates.any or (endpoint is not None and self.gates.concerns(endpoint)):
            self.arrange(now)

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

    def out_of_service(self) -> frozenset[str]:
        """Return the names of those that serve nobody for now, for their health or because nobody pays for them.

        O(those that are out); O(N) once an account had nothing left.
        """
        return self._rules.out_of_service() | self._ledger.spent()

    def leases(self, now: float) -> list[LeaseRow]:
        """Return what there is to see of the leases that are out, oldest first; O(those)."""
        if now >= self.due_s and not self._waiters.size:
            self.tick(now)
        return lease_rows(self._ledger, now)

    def quotas(self, now: float) -> list[QuotaStats]:
        """Return how much of each quota is used; nothing in a pool that has none."""
        return self.gates.usage(now)

    def times(self) -> LeaseTimes | None:
        """Return how long leases were waited for and held, copied; None: nobody has called `time_leases`."""
        if self._timing is None or not isinstance(self._waits, CountedWaits):
            return None
        return LeaseTimes(self._waits.counted(self._ledger.granted), self._timing.holds(self._ledger.accounts()))

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


def _refuse(request: Request, now: float) -> Lease | None:
    raise PoolClosed
