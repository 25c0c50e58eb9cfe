"""Reference check: a core and the naive model side by side, which must agree after every call.

Decides how a call on the one is a call on the other, and which calls must be refused. What "agree" means
is the referee's business. It must not choose the calls: a state machine, a random walk or a person does.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Final

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Hint, Lease, Outcome
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
from balancer.strategy import ANY, Request
from balancer.testing.clock import ManualClock
from balancer.testing.doubles import FakeLender, RecordingStrategy, StrategyFactory, other_pool
from balancer.testing.model import ModelPool
from balancer.testing.model_health import RulesInForce
from balancer.testing.referee import GrantRule, Referee

__all__ = ["ReferenceCheck", "StrategyFactory"]

_MINUTE_S: Final = 60.0
_LONG_ENOUGH: Final = 100  # steps in which whatever can heal has healed


class ReferenceCheck:
    """A core under test, and the model it is held against.

    Args:
        make: makes the strategy under test.
        specs: the endpoints from the start.
        max_waiters: as for `Core`.
        rules: those in force; a full host, or an ejection, shows a strategy what a limit of 0 is.
        seed: of the strategy's random choices.
        law: what more must hold of each grant, e.g. that it is the least loaded.

    Attributes:
        core, model, clock: the two that must agree, and the time they are told.
    """

    def __init__(
        self,
        make: StrategyFactory,
        specs: Iterable[Endpoint] = (),
        *,
        max_waiters: int | None = None,
        rules: RulesInForce | None = None,
        seed: int = 0,
        law: GrantRule | None = None,
    ) -> None:
        specs, rules = list(specs), rules or RulesInForce()
        self._random = random.Random(seed)
        self.clock = ManualClock()
        self.model = ModelPool(specs, max_waiters, rules)
        self.core = Core(
            specs,
            RecordingStrategy(make, self._random),
            lender=FakeLender(),
            max_waiters=max_waiters,
            health=rules.health,
            limits=rules.limits,
            host_caps=rules.host_caps,
            quotas=rules.quotas,
            spill_after_s=rules.spill_after_s,
            rng=random.Random(seed + 1),
            now=self.clock(),
        )
        self._referee = Referee(self.core, self.model, self.clock, law)
        self._referee.look()
        self._stranger = other_pool()

    @property
    def out(self) -> list[Lease]:
        """The leases out, oldest first."""
        return self._referee.out

    @property
    def ended(self) -> list[Lease]:
        """The leases that have ended."""
        return self._referee.ended

    @property
    def waiting(self) -> list[Waiter]:
        """Those who wait, in order of arrival."""
        return list(self._referee.waiting)

    @property
    def grants(self) -> list[str]:
        """The name of every endpoint that was leased, in order."""
        return self._referee.grants

    @property
    def most_kept(self) -> int:
        """How many endpoints were kept at once, each for another claim."""
        return self._referee.most_kept

    def ends(self) -> Counter[str]:
        """Return how often waits ended how: by the name of the error, or "lease"."""
        return self._referee.ends()

    # -- leases ------------------------------------------------------------------------------------

    def acquire(self, request: Request = ANY, *, timeout_s: float = 60.0, priority: int = 0) -> None:
        """Ask for a lease; wait for one if there is none."""
        now = self.clock()
        if self.model.closed:
            self._refused(PoolClosed, lambda: self.core.acquire(request, now))
            return
        if self._lease(request) is None:
            self._wait(request, now + timeout_s, priority)

    def release(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS, hint: Hint | None = None) -> None:
        """Give a lease back that is out."""
        lease.hint = hint
        self._end(lease, outcome, lambda: self.core.release(lease, outcome, self.clock()))

    def release_by_id(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        """End a lease that is out by its id alone; thereafter it must be refused, by its id as well."""
        self._end(lease, outcome, lambda: self.core.release_by_id(lease.id, outcome, self.clock()))
        self._refused(LeaseError, lambda: self.core.release_by_id(lease.id, outcome, self.clock()))

    def used(self, lease: Lease, tokens: int) -> None:
        """Say how many tokens the call of a lease that is out has used so far."""
        served = self.core.used(lease, tokens, self.clock())
        self.model.used(lease, tokens, self.clock())
        self._referee.settle(served)

    def release_again(self, lease: Lease) -> None:
        """Give a lease back that has ended; it must be refused."""
        self._refused(LeaseError, lambda: self.core.release(lease, Outcome.FAILURE, self.clock()))

    def release_foreign(self) -> None:
        """Give back what another pool granted; it must be refused, here and not there."""
        lease = self._stranger.acquire(ANY, 0.0)
        assert lease is not None, "the other pool's only slot was lost when its lease was returned here"
        self._refused(LeaseError, lambda: self.core.release(lease, Outcome.FAILURE, self.clock()))
        self._stranger.release(lease, Outcome.SUCCESS, 0.0)

    def amend(self, waiter: Waiter, request: Request) -> None:
        """Let a waiter ask for something else, at its place; what nobody could ever serve must be refused."""
        now = self.clock()
        other = request != waiter.request or request.tokens != waiter.request.tokens
        if other and self.model.hopeless(request):
            self._refused(NoEndpoint, lambda: self.core.amend(waiter, request, now))
            return
        ended = self.core.amend(waiter, request, now)
        self.model.amend(self._referee.waiting[waiter], request)
        self._referee.settle(ended)

    def cancel(self, waiter: Waiter) -> None:
        """Let a waiter give up because its caller is gone."""
        self._gives_up(waiter, BalancerError, timed_out=False)
        self.core.cancel(waiter, self.clock(), timed_out=True)  # it has ended, so this must do nothing

    def pass_time(self, seconds: float, *, late: bool = False) -> None:
        """Move the clock on, and let time do what is due; a waiter whose time is up does not know it yet.

        Args:
            seconds: by how much.
            late: the shell has not noticed yet that something is due. Where there are groups or quotas it always has.
        """
        self.clock.advance(seconds)
        if (not late or self.model.rules.gated) and self.core.due_s <= self.clock():
            self._referee.settle(self.core.tick(self.clock()))
            assert self.core.due_s > self.clock(), "time has done what was due, and something is due again at once"

    def ping(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Tell the core how a ping went; of an endpoint that is not there, it must not matter."""
        self._referee.settle(self.core.pinged(name, ok, self.clock(), conclusive=conclusive))

    def time_out(self) -> None:
        """Let all those give up whose deadline has passed, as a shell's timer would."""
        for waiter in self.waiting:
            if self.clock() >= waiter.deadline_s and not waiter.ended:
                self._gives_up(waiter, AcquireTimeout, timed_out=True)
                self.core.cancel(waiter, self.clock(), timed_out=True)  # likewise

    # -- membership --------------------------------------------------------------------------------

    def add(self, spec: Endpoint) -> None:
        """Add an endpoint, or bring it back; one that is active must be refused."""
        known = self.model.find(spec.name)
        if known is not None and known.state == "active":
            self._refused(DuplicateEndpoint, lambda: self.core.add(spec, self.clock()))
            return
        ended = self.core.add(spec, self.clock())
        self.model.add(spec)
        self._referee.settle(ended)

    def update(self, url: str, **changes: Any) -> None:
        """Change fields of a spec; an unknown URL must be refused."""
        known = self.model.find(url)
        if known is None:
            self._refused(UnknownEndpoint, lambda: self.core.update(Endpoint(url), self.clock()))
            return
        spec = replace(known.spec, **changes)
        ended = self.core.update(spec, self.clock())
        self.model.update(spec)
        self._referee.settle(ended)

    def drain(self, url: str) -> None:
        """Drain an endpoint; an unknown URL must be refused."""
        self._stop(url, "draining", lambda: self.core.drain(url, self.clock()))

    def remove(self, url: str) -> None:
        """Remove an endpoint; an unknown URL must be refused."""
        self._stop(url, "retiring", lambda: self.core.remove(url, self.clock()))

    def set_strategy(self, make: StrategyFactory) -> None:
        """Let another strategy choose."""
        self._referee.settle(self.core.set_strategy(RecordingStrategy(make, self._random), self.clock()))

    def close(self) -> None:
        """Close the pool: every waiter must get `PoolClosed`, and nobody else."""
        ended = self.core.close(self.clock())
        self.model.closed = True
        assert set(ended) == set(self.waiting), "close() must end every waiter, and nobody else"
        for waiter in ended:
            self._referee.gave_up(waiter, PoolClosed)

    # -- judging -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that core and model agree on everything."""
        self._referee.check()

    def finish(self) -> None:
        """Give everything back and check that nothing was lost: every slot can be leased once more."""
        self._release_everything()
        if self.model.rules.health and not self.model.closed:
            self._heal()
        self.time_out()
        if self.model.rules.quotas:
            self._fill_quotas()
        assert not self.waiting, f"{len(self.waiting)} wait though every slot is free"
        if not self.model.closed:
            self._lease_everything()
            self._release_everything()
        self.check()
        busy = [e.name for e in self.core.counters(self.clock())[0] if e.in_flight]
        assert not busy, f"{busy} have leases out though all were given back"
        self._referee.check_ended()

    # -- inside ------------------------------------------------------------------------------------

    def _refused(self, kind: type[BalancerError], call: Callable[[], object]) -> None:
        """Check that `call` raises `kind` and changes nothing."""
        before = self._referee.snapshot()
        try:
            call()
        except kind:
            assert self._referee.snapshot() == before, f"{kind.__name__} was raised, but something had changed"
        else:
            raise AssertionError(f"{kind.__name__} should have been raised")

    def _end(self, lease: Lease, outcome: Outcome, end: Callable[[], Sequence[Waiter]]) -> None:
        self.out.remove(lease)
        self.ended.append(lease)
        served = end()
        self.model.release(lease, outcome, self.clock())
        self._referee.settle(served)

    def _wait(self, request: Request, deadline_s: float, priority: int) -> None:
        now = self.clock()

        def wait() -> Waiter:
            return self.core.wait(request, now, deadline_s, priority, _never)

        if self.model.hopeless(request):
            self._refused(NoEndpoint, wait)
        elif self.model.full(now, deadline_s):
            self._refused(TooManyWaiters, wait)
        else:
            waiter = wait()
            self._referee.waiting[waiter] = self.model.wait(request, now, deadline_s, priority)
            self._referee.settle([waiter] if waiter.ended else ())

    def _gives_up(self, waiter: Waiter, kind: type[BalancerError], *, timed_out: bool) -> None:
        others = self.core.cancel(waiter, self.clock(), timed_out=timed_out)
        self._referee.gave_up(waiter, kind)
        self._referee.settle(others)

    def _stop(self, url: str, state: str, stop: Callable[[], Sequence[Waiter]]) -> None:
        if self.model.find(url) is None:
            self._refused(UnknownEndpoint, stop)
            return
        ended = stop()
        self.model.stop(url, state)
        self._referee.settle(ended)

    def _release_everything(self) -> None:
        while self.out:
            self.release(self.out[0])

    def _fill_quotas(self) -> None:
        """Let minutes pass, until everybody who waits has been served."""
        for _ in range(_LONG_ENOUGH):
            self.pass_time(_MINUTE_S)
            self.time_out()
            self._release_everything()
            if not self.waiting:
                self.pass_time(_MINUTE_S)
                return

    def _heal(self) -> None:
        """Let time pass, and calls succeed, until every endpoint is healthy."""
        for _ in range(_LONG_ENOUGH):
            if self.model.rules.gated:
                self.time_out()  # nobody is to keep a quota for ever
            if self.core.due_s < inf or self.model.rules.quotas:
                least_s = _MINUTE_S if self.model.rules.quotas else 10.0
                self.pass_time(max(least_s, self.core.due_s - self.clock() if self.core.due_s < inf else 0.0))
            names = {endpoint.spec.name for endpoint in self.model.endpoints}
            for name in sorted(names):  # each by itself: a strategy, or its host, may prefer another
                self._lease(Request(exclude=frozenset(names - {name})))
                self._release_everything()
            healths = {endpoint.standing.health for endpoint in self.model.endpoints if endpoint.state == "active"}
            if self.core.due_s == inf and healths <= {"", "healthy"}:
                return
        raise AssertionError("an endpoint never comes back")

    def _lease(self, request: Request) -> Lease | None:
        lease = self.core.acquire(request, self.clock())
        self._referee.granted(lease, request)
        return lease

    def _lease_everything(self) -> None:
        while self.model.free_for(ANY, now=self.clock()):
            out = len(self.out)
            self.acquire()
            assert len(self.out) > out, "a free slot could not be leased"
        assert self.core.acquire(ANY, self.clock()) is None, "more slots could be leased than there are"


def _never() -> None:
    raise AssertionError("the core woke a waiter; only the shell may, after it has let go of its lock")
