"""`Pool.call`: call an endpoint, and another one if that fails.

Decides what a call may be given, and how its two runs are made if it is hedged. Where and when it is tried again is
decided by the attempt plan (`balancer.core.attempt_plan`). It must not know what a call does, nor how the pool chooses.
What `CallRequest` and `HedgeControl` do is the same for threads and for tasks (`balancer.shells.tasks.calls`).
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
    """What a call asks for; see `call`."""

    attempts: int = 3
    deadline_s: float | None = None
    budget: SharedBudget | None = None
    hedge_after_s: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) or isinstance(self.exclude, str):
            raise TypeError(
                f"labels={self.labels!r}, exclude={self.exclude!r}: each takes a collection of strings, such as {{'a'}}"
            )
        object.__setattr__(self, "labels", frozenset(self.labels))  # each attempt asks for them anew
        object.__setattr__(self, "exclude", frozenset(self.exclude))

    def plan(self, engine: Engine) -> AttemptPlan:
        """Return the plan of such a call. Raises ValueError if a number is out of range."""
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
    """Return `fn(lease)`; if an endpoint fails, try again, never where it just failed while another can serve.

    What counts as an endpoint's failure is what counts against it: transport errors, time-outs and `EndpointError`.
    What an endpoint cannot tell (`CannotTell`) is tried again likewise, and held against nobody. Any other exception is
    the caller's own and is raised at once. Pauses are drawn at random and double (`[retries]`); a `Retry-After` is kept
    as well if nobody else can serve. An endpoint that is ejected is not waited for while another one can serve, not
    even if that is where it just failed.

    Args:
        engine: of the pool that leases the endpoints.
        fn: the call; its lease ends with it. No coroutine and no generator: their work begins when `fn` has returned.
        attempts: how often at most, the first included (>= 1).
        deadline_s: seconds from now for all waits, pauses and attempts. What is left is how long a lease is waited
            for; no attempt starts after it. One that runs is not cut, for a thread cannot be ended from outside: give
            `fn` a time limit of its own (`pool.aio.call` ends it). Without one, each attempt waits for a lease as the
            pool was told.
        budget: bounds the retries; default: one that all calls over this pool share.
        labels, exclude, priority, slots, key, holder, ttl_s, tokens: as in `Pool.acquire`, for each attempt.
        hedge_after_s: for idempotent calls: an attempt that takes longer than so many seconds is made a second time,
            on another endpoint that is free, if the budget has a retry left. The first success counts. `fn` runs in
            threads of its own; the loser's lease ends at once, as neither success nor failure, and `lease.ended` tells
            its `fn`, which may run on. If it fails after all by its endpoint's fault, that counts as a failed ping
            (`Pool.pinged`): one that always hangs is ejected, however often it loses. None: never.

    Raises:
        AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters: there was no endpoint for the first attempt.
        LeaseError: `fn` returned, but its lease was over: it gave that back itself, or the lease's `ttl_s` had passed.
        Exception: the last error of `fn`, with a note if it was not tried again although `attempts` were left.
        TypeError: `fn` is a coroutine or generator function, or returns what one does; a string for a collection.
        ValueError: a number is out of range.
    """
    fn = at_once(fn)
    return _Call(engine, fn, CallRequest(**asked)).run()


class HedgeControl:
    """Where the second run of an attempt that is slow is made, if anywhere, and what is told of the loser of the two.

    Args:
        engine: is told.
        plan: says whether there is a second run.
        driver: leases the endpoint for it.
    """

    def __init__(self, engine: Engine, plan: AttemptPlan, driver: CallDriver) -> None:
        self._engine = engine
        self._plan = plan
        self._driver = driver

    def another(self) -> bool:
        """Lease another endpoint for a second run, if the plan wants one and a slot is free."""
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
        """Tell the pool of a loser that fails after all, by its endpoint's fault."""
        self._engine.pinged(lease.endpoint.name, False)


class _Call(Generic[T]):
    """One call: a driver along its plan, and the second run of an attempt that is slow."""

    def __init__(self, engine: Engine, fn: Callable[[Lease], T], asked: CallRequest) -> None:
        self._fn = fn
        plan = asked.plan(engine)
        driver = ThreadDriver(engine, plan, asked, self._make, sleep=_sleep, budget=asked.budget)
        self._hedge = HedgeControl(engine, plan, driver)
        self.run = driver.run

    def _make(self, run: Run, hand: list[Lease]) -> T:
        """Make one attempt with the lease in `hand`."""
        if run.hedge_s < math.inf:
            hedge = self._hedge
            return hedged(self._fn, hand, after_s=run.hedge_s, another=hedge.another, failed_late=hedge.failed_late)
        with hand[0] as lease:
            return self._fn(lease)


def _sleep(pause_s: float) -> None:
    if pause_s > 0:
        sleep(pause_s)
