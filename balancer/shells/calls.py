"""`Pool.call`: call an endpoint, and another one if that fails.

The attempt plan (`balancer.core.attempt_plan`) decides where and when to retry. `CallRequest` serves threads and tasks
(`balancer.shells.tasks.calls`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, Unpack

from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Lease
from balancer.shells.coroutines import check_works_now, finished
from balancer.shells.driver import ThreadDriver
from balancer.shells.engine import Engine
from balancer.shells.hedging import hedged
from balancer.shells.lease_request import LeaseArguments, LeaseRequest, not_sets, shows_arguments
from balancer.shells.shared_budget import SharedBudget
from balancer.values.numbers import checked, seconds, whole

__all__ = ["USUAL", "CallArguments", "CallRequest", "call"]

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
        labels, exclude = self.labels, self.exclude
        if isinstance(labels, str) or isinstance(exclude, str):
            raise not_sets(labels, exclude)
        try:  # kept as sets: each attempt reads them again
            object.__setattr__(self, "labels", frozenset(labels))
            object.__setattr__(self, "exclude", frozenset(exclude))
        except TypeError:
            raise not_sets(labels, exclude) from None

    def plans(self, engine: Engine) -> AttemptPlans:
        """Return what makes the attempt plan of such a call. Raises ValueError if a number is out of range."""
        limits = (self.deadline_s, self.hedge_after_s, self.budget)
        if limits == (None, None, None) and self.attempts is USUAL.attempts:
            return engine.plans
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
        return AttemptPlans(policy, budget=self.budget or engine.budget, rng=engine.jitter)


CallRequest.__init__.__qualname__ = "Pool.call"  # as for `LeaseRequest`

USUAL = CallRequest()
"""That of a call without arguments."""


@shows_arguments(CallRequest)
def call(engine: Engine, fn: Callable[[Lease], T], **asked: Unpack[CallArguments]) -> T:
    """Return `fn(lease)` for a lease of the pool of `engine`. If an endpoint fails, try again.

    See `balancer.Pool.call` for the arguments and errors.
    """
    check_works_now(fn)
    request = CallRequest(**asked) if asked else USUAL
    return _Call(engine, request, fn).run()


class _Call(ThreadDriver[T]):
    """One call of `fn`."""

    def __init__(self, engine: Engine, asked: CallRequest, fn: Callable[[Lease], T]) -> None:
        super().__init__(engine, asked.plans(engine), asked, budget=asked.budget)
        self._fn = fn

    def attempt(self, run: Run) -> T:
        if run.hedge_s < math.inf:
            return hedged(self._now, self.hand, after_s=run.hedge_s, another=self.another, failed_late=self.failed_late)
        with self.hand[0] as lease:
            done = finished(self._fn(lease))
        self.hand.clear()
        return done

    def _now(self, lease: Lease) -> T:
        return finished(self._fn(lease))
