"""Reference check: a core and the naive model side by side, which must agree after every call.

It makes the calls of a shell, with a clock that is moved by hand. A refereed core compares them with the model. A list
of calls, a random walk or a person chooses the calls.
"""

import random
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, Final

from balancer.core import Waiter
from balancer.endpoint import Endpoint, Hint, Lease, Outcome
from balancer.errors import (
    DuplicateEndpoint,
    LeaseError,
    NoEndpoint,
    PoolClosed,
    TooManyWaiters,
    UnknownEndpoint,
)
from balancer.strategy import ANY, Request
from balancer.testing.clock import ManualClock
from balancer.testing.doubles import FakeLender
from balancer.testing.watched import StrategyFactory
from tests.referee.doubles import other_pool
from tests.referee.model_health import RulesInForce
from tests.referee.refereed_core import RefereedCore

__all__ = ["ReferenceCheck"]

_MINUTE_S: Final = 60.0
_LONG_ENOUGH: Final = 100  # steps after which all that can heal has healed


class ReferenceCheck:
    """A core under test, with its model.

    Args:
        make: makes the strategy under test.
        specs: the endpoints at the start.
        max_waiters: as for `Core`.
        rules: in force; a full host, or an ejection, shows a strategy a limit of 0.
        seed: of the strategy's random choices.

    Attributes:
        core, model, clock: the core and the model that must agree, and their clock.
    """

    def __init__(
        self,
        make: StrategyFactory,
        specs: Iterable[Endpoint] = (),
        *,
        max_waiters: int | None = None,
        rules: RulesInForce | None = None,
        seed: int = 0,
    ) -> None:
        self._rules = rules = rules or RulesInForce()
        self._random = random.Random(seed)
        self.clock = ManualClock()
        self.core = RefereedCore(
            specs,
            make(self._random),
            lender=FakeLender(),
            max_waiters=max_waiters,
            health=rules.health,
            limits=rules.limits,
            host_caps=rules.host_caps,
            quotas=rules.quotas,
            spill_after_s=rules.spill_after_s,
            holders=rules.holders,
            rng=random.Random(seed + 1),
            now=self.clock(),
            thorough_every=0,
        )
        self.model = self.core.model
        self._stranger = other_pool()

    @property
    def out(self) -> list[Lease]:
        """The leases out, oldest first."""
        return self.core.referee.out

    @property
    def ended(self) -> list[Lease]:
        """The leases that have ended."""
        return self.core.referee.ended

    @property
    def waiting(self) -> list[Waiter]:
        """The waiters, in order of arrival."""
        return list(self.core.referee.waiting)

    @property
    def grants(self) -> list[str]:
        """The name of every endpoint that was leased, in order."""
        return self.core.referee.grants

    @property
    def most_kept(self) -> int:
        """The most endpoints that were kept at once, each for another claim."""
        return self.core.referee.most_kept

    def ends(self) -> Counter[str]:
        """Return how many waits ended in which way: by the name of the error, or "lease"."""
        return self.core.referee.ends()

    # -- leases ------------------------------------------------------------------------------------

    def call(self, name: str, *about: object, **more: object) -> None:
        """Make a call of the core. Whether it may be refused, the referee knows."""
        with suppress(PoolClosed, NoEndpoint, TooManyWaiters, LeaseError, DuplicateEndpoint, UnknownEndpoint):
            getattr(self.core, name)(*about, self.clock(), **more)

    def acquire(self, request: Request = ANY, *, timeout_s: float = 60.0, priority: int = 0) -> None:
        """Ask for a lease; wait if there is none."""
        now = self.clock()
        with suppress(PoolClosed, NoEndpoint, TooManyWaiters):
            if self.core.acquire(request, now) is None:
                self.core.wait(request, now, now + timeout_s, priority, _never)

    def release(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS, hint: Hint | None = None) -> None:
        """Return a lease that is out."""
        lease.hint = hint
        self.core.release(lease, outcome, self.clock())

    def release_by_id(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        """End a lease that is out by its id alone. After that it must be refused, by its id as well."""
        for _ in range(2):
            self.call("release_by_id", lease.id, outcome)

    def release_foreign(self) -> None:
        """Return a lease of another pool; it must be refused here and stay valid there."""
        lease = self._stranger.acquire(ANY, 0.0)
        assert lease is not None, "the other pool lost its only slot when its lease was released here"
        self.call("release", lease, Outcome.FAILURE)
        self._stranger.release(lease, Outcome.SUCCESS, 0.0)

    def cancel(self, waiter: Waiter) -> None:
        """Cancel a waiter, as if its caller has gone."""
        self.core.cancel(waiter, self.clock(), timed_out=False)
        self.core.cancel(waiter, self.clock(), timed_out=True)  # it has ended, so this must do nothing

    def pass_time(self, seconds: float, *, late: bool = False) -> None:
        """Move the clock on, and let the core do what is due. A waiter past its deadline is not ended here.

        Args:
            seconds: by how much.
            late: the shell has not noticed yet that something is due. With groups or quotas it always has.
        """
        self.clock.advance(seconds)
        if (not late or self._rules.gated) and self.core.due_s <= self.clock():
            self.core.tick(self.clock())

    def time_out(self) -> None:
        """End all waiters whose deadline has passed, as a shell's timer would."""
        for waiter in self.waiting:
            if self.clock() >= waiter.deadline_s and not waiter.ended:
                self.core.cancel(waiter, self.clock(), timed_out=True)
                self.core.cancel(waiter, self.clock(), timed_out=True)  # likewise

    # -- membership --------------------------------------------------------------------------------

    def add(self, spec: Endpoint) -> None:
        """Add an endpoint, or bring it back. One that is active must be refused."""
        self.call("add", spec)

    def update(self, url: str, **changes: Any) -> None:
        """Change fields of a spec; an unknown URL must be refused. Who is out of service moves when it comes back."""
        known = self.model.find(url)
        if known and known.state != "active":
            changes.pop("host", None)
        self.call("update", replace(known.spec, **changes) if known else Endpoint(url))

    def drain(self, url: str) -> None:
        """Drain an endpoint; an unknown URL must be refused."""
        self.call("drain", url)

    # -- judging -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that core and model agree on everything."""
        self.core.check(self.clock())

    def finish(self) -> None:
        """Return all leases and check that nothing was lost: every slot can be leased again."""
        self._release_everything()
        if self._rules.health and not self.model.closed:
            self._heal()
        self.time_out()
        if self._rules.quotas:
            self._fill_quotas()
        assert not self.waiting, f"{len(self.waiting)} wait, although every slot is free"
        if not self.model.closed:
            self._lease_everything()
            self._release_everything()
        self.check()
        busy = [e.name for e in self.core.counters(self.clock())[0] if e.in_flight]
        assert not busy, f"{busy} have leases out, although all were released"
        self.core.referee.check_ended()

    # -- inside ------------------------------------------------------------------------------------

    def _release_everything(self) -> None:
        while self.out:
            self.release(self.out[0])

    def _fill_quotas(self) -> None:
        """Let minutes pass, until every waiter has been served."""
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
            if self._rules.gated:
                self.time_out()  # so that no waiter keeps a quota for ever
            if self.core.due_s < inf or self._rules.quotas:
                least_s = _MINUTE_S if self._rules.quotas else 10.0
                self.pass_time(max(least_s, self.core.due_s - self.clock() if self.core.due_s < inf else 0.0))
            names = {endpoint.spec.name for endpoint in self.model.endpoints}
            for name in sorted(names):  # each one alone, because a strategy or a host cap may prefer another
                self.core.acquire(Request(exclude=frozenset(names - {name})), self.clock())
                self._release_everything()
            healths = {endpoint.standing.health for endpoint in self.model.endpoints if endpoint.state == "active"}
            if self.core.due_s == inf and healths <= {"", "healthy"}:
                return
        raise AssertionError("an endpoint never comes back")

    def _lease_everything(self) -> None:
        while self.model.free_for(ANY, now=self.clock()):
            out = len(self.out)
            self.acquire()
            assert len(self.out) > out, "a free slot could not be leased"
        assert self.core.acquire(ANY, self.clock()) is None, "more slots could be leased than there are"


def _never() -> None:
    raise AssertionError("the core woke a waiter; only the shell may, after it has let go of its lock")
