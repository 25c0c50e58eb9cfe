"""`Pool.call`: call an endpoint, and another one if that fails.

The attempt plan (`balancer.core.attempt_plan`) decides where and when to retry. `CallRequest` and `HedgeControl` serve
threads and tasks (`balancer.shells.tasks.calls`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Generic, TypeVar, Unpack

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import CallPolicy, Hedge, Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.shells.coroutines import at_once
from balancer.shells.driver import CallDriver, ThreadDriver
from balancer.shells.engine import Engine
from balancer.shells.hedging import hedged
from balancer.shells.lease_request import LeaseArguments, LeaseRequest, shows_arguments
from balancer.shells.shared_budget import SharedBudget
from balancer.values.numbers import checked, seconds, whole

__all__ = ["CallArguments", "CallRequest", "HedgeControl", "call"]

T = TypeVar("T")


class CallArguments(LeaseArguments, total=False):
    """A `CallRequest` as keyword arguments; see `call`."""

    attempts: int
    deadline_s: float | None
    budget: SharedBudget | None
    hedge_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest(LeaseRequest):
    """The arguments of a call; see `call`."""

    attempts: int = 3
    deadline_s: float | None = None
    budget: SharedBudget | None = None
    hedge_after_s: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) or isinstance(self.exclude, str):
            raise TypeError(
                f"labels={self.labels!r}, exclude={self.exclude!r}: each takes a collection of strings, such as {{'a'}}"
            )
        object.__setattr__(self, "labels", frozenset(self.labels))  # kept as a set: each attempt reads them again
        object.__setattr__(self, "exclude", frozenset(self.exclude))

    def plan(self, engine: Engine) -> AttemptPlan:
        """Return the attempt plan of such a call. Raises ValueError if a number is out of range."""
        checked("attempts", self.attempts, whole)
        for name, value in (("deadline_s", self.deadline_s), ("hedge_after_s", self.hedge_after_s)):
            if value is not None:
                checked(name, value, seconds)
        policy = CallPolicy(
            attempts=self.attempts,
            retries=engine.retries,
            wait_s=engine.acquire_timeout_s if self.deadline_s is None else math.inf,
            deadline_s=math.inf if self.deadline_s is None else self.deadline_s,
            hedge_after_s=self.hedge_after_s,
        )
        return AttemptPlan(policy, budget=self.budget or engine.budget, rng=engine.jitter)


@shows_arguments(CallRequest)
def call(engine: Engine, fn: Callable[[Lease], T], **asked: Unpack[CallArguments]) -> T:
    """Return `fn(lease)` for a lease of the pool of `engine`. If an endpoint fails, try again.

    See `balancer.Pool.call` for the arguments and errors.
    """
    fn = at_once(fn)
    return _Call(engine, fn, CallRequest(**asked)).run()


class HedgeControl:
    """Leases the endpoint for the second run of a slow attempt, and reports losers that fail.

    Args:
        engine: gets the reports.
        plan: decides whether there is a second run.
        driver: takes the lease.
    """

    def __init__(self, engine: Engine, plan: AttemptPlan, driver: CallDriver) -> None:
        self._engine = engine
        self._plan = plan
        self._driver = driver

    def another(self) -> bool:
        """Lease another endpoint for a second run. Return False if the plan wants none or no slot is free."""
        decision = self._plan.slow(self._engine.clock())
        if not isinstance(decision, Hedge):
            return False
        try:
            name = self._driver.take_at_once(decision.avoid)
        except BalancerError:
            return False
        if not self._plan.hedged(name, self._engine.clock()):
            self._driver.drop()
            return False
        self._engine.hedged(name)
        return True

    def failed_late(self, lease: Lease) -> None:
        """Report a loser that failed after its lease ended, because of its endpoint."""
        self._engine.pinged(lease.endpoint.name, False)


class _Call(Generic[T]):
    """One call: a driver that follows its plan, and the second run of a slow attempt."""

    def __init__(self, engine: Engine, fn: Callable[[Lease], T], asked: CallRequest) -> None:
        self._fn = fn
        plan = asked.plan(engine)
        driver = ThreadDriver(engine, plan, asked, self._make, sleep=_sleep, budget=asked.budget)
        self._hedge = HedgeControl(engine, plan, driver)
        self.run = driver.run

    def _make(self, run: Run, hand: list[Lease]) -> T:
        if run.hedge_s < math.inf:
            hedge = self._hedge
            return hedged(self._fn, hand, after_s=run.hedge_s, another=hedge.another, failed_late=hedge.failed_late)
        with hand[0] as lease:
            return self._fn(lease)


def _sleep(pause_s: float) -> None:
    if pause_s > 0:
        sleep(pause_s)
