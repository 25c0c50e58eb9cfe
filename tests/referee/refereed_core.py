"""Refereed core: a core that is held against the naive model at each call. It stands for `Core` in any shell.

Who makes the calls does not matter: a list of calls, threads, tasks or the simulator. The referee says what must hold.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from balancer.core import Core, Waiter
from balancer.core.metrics import EndpointStats, WaitHistogram
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    DuplicateEndpoint,
    LeaseError,
    NoEndpoint,
    PoolClosed,
    TooManyWaiters,
    UnknownEndpoint,
)
from balancer.strategy import Request, Strategy
from tests.referee.doubles import RecordingStrategy
from tests.referee.model import ModelPool
from tests.referee.model_health import RulesInForce
from tests.referee.referee import Referee

__all__ = ["RefereedCore"]

T = TypeVar("T")
Waiters = Sequence[Waiter]


class RefereedCore:
    """A core with its model. What it does not have itself, it has from the core.

    The model cannot follow `recover` and `adopt`: no call may be cut short, and no lease be out at the start.

    Args:
        endpoints, strategy, lender, max_waiters, rng, now, rules: as for `Core`.
        thorough_every: compare all figures each time after this many calls; the waiters are checked at every call. 0:
            compare them only in `check`.

    Attributes:
        core, model: which must agree.
        referee: says whether they do.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        strategy: Strategy,
        *,
        lender: Lender,
        max_waiters: int | None = None,
        rng: random.Random | None = None,
        now: float,
        thorough_every: int = 1,
        **rules: Any,
    ) -> None:
        specs, told = list(endpoints), RecordingStrategy(strategy)
        self.model = ModelPool(specs, max_waiters, RulesInForce(**rules, groups=True))
        self.core = Core(specs, told, lender=lender, max_waiters=max_waiters, rng=rng, now=now, **rules)
        self._now = now
        self._every = thorough_every
        self._calls = 0
        self.referee = Referee(self.core, self.model, lambda: self._now)
        self.referee.look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def __repr__(self) -> str:
        return repr(self.core)

    def check(self, now: float) -> None:
        """Check that core and model agree on everything."""
        self._now = now
        self.referee.check()

    def counters(self, now: float) -> tuple[list[EndpointStats], dict[str, int], WaitHistogram]:
        """Return the figures. This does what is due if nobody waits."""
        self._now = now
        found = self.core.counters(now)
        self.referee.look()
        return found

    # -- leases ------------------------------------------------------------------------------------

    def acquire(self, request: Request, now: float) -> Lease | None:
        """Take a lease; it must be there if and only if a slot is free."""
        self._now = now
        refusal = PoolClosed if self.model.closed else None
        lease = self._call(refusal, lambda: self.core.acquire(request, now))
        self.referee.granted(lease, request)
        self._compare()
        return lease

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request. One that can never be served, or that comes to a full queue, must be refused."""
        self._now = now
        full = TooManyWaiters if self.model.full(now, deadline_s) else None
        refusal = NoEndpoint if self.model.hopeless(request) else full
        waiter = self._call(refusal, lambda: self.core.wait(request, now, deadline_s, priority, wake))
        self.referee.waiting[waiter] = self.model.wait(request, now, deadline_s, priority)
        self._settle([waiter] if waiter.ended else ())
        return waiter

    def amend(self, waiter: Waiter, request: Request, now: float) -> Waiters:
        """Change the request of a waiter, which keeps its place. A request that can never be served must be refused."""
        self._now = now
        other = request != waiter.request or request.tokens != waiter.request.tokens
        refusal = NoEndpoint if other and not waiter.ended and self.model.hopeless(request) else None
        waits = self.referee.waiting.get(waiter)
        ended = self._call(refusal, lambda: self.core.amend(waiter, request, now))
        if waits is not None:
            self.model.amend(waits, request)
        return self._settle(ended)

    def cancel(self, waiter: Waiter, now: float, *, timed_out: bool) -> Waiters:
        """End a wait. Where it has ended, nothing may happen."""
        self._now = now
        waits = waiter in self.referee.waiting
        others = self.core.cancel(waiter, now, timed_out=timed_out)
        if waits:
            self.referee.gave_up(waiter, AcquireTimeout if timed_out else BalancerError)
        return self._settle(others)

    def release(self, lease: Lease, outcome: Outcome, now: float) -> Waiters:
        """End a lease. One that is not out must be refused."""
        return self._end([lease], outcome, now, lambda: self.core.release(lease, outcome, now))

    def release_by_id(self, id: int, outcome: Outcome, now: float) -> Waiters:
        """End a lease by its id. One that is not out must be refused."""
        leases = [lease for lease in self.referee.out if lease.id == id]
        return self._end(leases, outcome, now, lambda: self.core.release_by_id(id, outcome, now))

    def abandon(self, leases: Sequence[Lease], now: float) -> Waiters:
        """End those of `leases` that are out."""
        self._now = now
        left = [lease for lease in leases if lease in self.referee.out]
        if not left:
            return self._settle(self.core.abandon(leases, now))
        return self._end(left, Outcome.IGNORED, now, lambda: self.core.abandon(leases, now))

    def used(self, lease: Lease, tokens: int, now: float) -> Waiters:
        """Report how many tokens a call has used so far."""
        self._now = now
        ended = self._call(self._refusal_of(lease), lambda: self.core.used(lease, tokens, now))
        self.model.used(lease, tokens, now)
        return self._settle(ended)

    # -- time, and what happens to endpoints and calls ---------------------------------------------

    def tick(self, now: float) -> Waiters:
        """Do what is due; then nothing more may be due now."""
        self._now = now
        ended = self.core.tick(now)
        assert self.core.due_s > now, "after a tick, something is due again at once"
        return self._settle(ended)

    def pinged(self, name: str, ok: bool, now: float, *, conclusive: bool = False) -> Waiters:
        """Report a ping. For an unknown endpoint it must have no effect."""
        self._now = now
        return self._settle(self.core.pinged(name, ok, now, conclusive=conclusive))

    def retried(self, name: str, now: float) -> Waiters:
        """Count a retry."""
        self._now = now
        self.model.retries += 1
        return self._settle(self.core.retried(name, now))

    def hedged(self, name: str, now: float) -> Waiters:
        """Count a hedge."""
        self._now = now
        self.model.hedges += 1
        return self._settle(self.core.hedged(name, now))

    # -- membership --------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, now: float) -> Waiters:
        """Add an endpoint, or bring it back. One that is active must be refused."""
        self._now = now
        known = self.model.find(endpoint.name)
        refusal = DuplicateEndpoint if known is not None and known.state == "active" else None
        ended = self._call(refusal, lambda: self.core.add(endpoint, now))
        self.model.add(endpoint)
        return self._settle(ended)

    def update(self, endpoint: Endpoint, now: float) -> Waiters:
        """Replace a spec; an unknown one must be refused."""
        self._now = now
        ended = self._call(self._unknown(endpoint.name), lambda: self.core.update(endpoint, now))
        self.model.update(endpoint)
        return self._settle(ended)

    def drain(self, name: str, now: float) -> Waiters:
        """Drain an endpoint; an unknown one must be refused."""
        return self._stop(name, "draining", now, lambda: self.core.drain(name, now))

    def remove(self, name: str, now: float) -> Waiters:
        """Remove an endpoint; an unknown one must be refused."""
        return self._stop(name, "retiring", now, lambda: self.core.remove(name, now))

    def set_strategy(self, strategy: Strategy, now: float) -> Waiters:
        """Switch to another strategy."""
        self._now = now
        return self._settle(self.core.set_strategy(RecordingStrategy(strategy), now))

    def close(self, now: float) -> Waiters:
        """Close the pool: every waiter must get `PoolClosed`."""
        self._now = now
        ended = self.core.close(now)
        self.model.closed = True
        assert set(ended) == set(self.referee.waiting), "close() must end every waiter, and nobody else"
        for waiter in ended:
            self.referee.gave_up(waiter, PoolClosed)
        return ended

    # -- inside ------------------------------------------------------------------------------------

    def _call(self, refusal: type[BalancerError] | None, call: Callable[[], T]) -> T:
        """Make a call. With a `refusal` it must raise that, and change nothing."""
        if refusal is None:
            return call()
        before = self.referee.snapshot()
        try:
            call()
        except refusal:
            assert self.referee.snapshot() == before, f"{refusal.__name__} was raised, but something had changed"
            raise
        raise AssertionError(f"{refusal.__name__} should have been raised")

    def _settle(self, ended: Waiters) -> Waiters:
        self.referee.settle(ended)
        self._compare()
        return ended

    def _compare(self) -> None:
        self._calls += 1
        # To read the figures does what is due if nobody waits; in a shell that is for the next call to do.
        if self._every and self._calls % self._every == 0 and (self._now < self.core.due_s or self.core.waiting):
            self.referee.check()

    def _end(self, leases: Sequence[Lease], outcome: Outcome, now: float, end: Callable[[], Waiters]) -> Waiters:
        self._now = now
        refusal = self._refusal_of(leases[0]) if leases else LeaseError
        ended = self._call(refusal, end)
        for lease in leases:
            self.referee.out.remove(lease)
            self.referee.ended.append(lease)
            self.model.release(lease, outcome, now)
        return self._settle(ended)

    def _refusal_of(self, lease: Lease) -> type[BalancerError] | None:
        return None if lease in self.referee.out else LeaseError

    def _stop(self, name: str, state: str, now: float, stop: Callable[[], Waiters]) -> Waiters:
        self._now = now
        ended = self._call(self._unknown(name), stop)
        self.model.stop(name, state)
        return self._settle(ended)

    def _unknown(self, name: str) -> type[BalancerError] | None:
        return UnknownEndpoint if self.model.find(name) is None else None
