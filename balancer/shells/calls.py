"""`Pool.call`: call an endpoint, and another one if that fails.

Decides what a call may be given, and how its two runs are made if it is hedged. Where and when it is tried again is
decided by the course (`balancer.core.attempt_plan`). It must not know what a call does, nor how the pool chooses. What
`agreed` and `SecondRuns` do is the same for threads and for tasks (`balancer.shells.tasks.calls`).
"""

import math
from collections.abc import Callable, Iterable
from time import sleep
from typing import Generic, NamedTuple, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import CallPolicy, Hedge, Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.shells.coroutines import at_once
from balancer.shells.driver import LeaseRequest, ThreadDriver
from balancer.shells.hedging import hedged
from balancer.shells.leasing import Leasing, RetryContext, SharedBudget
from balancer.values.numbers import checked, seconds, whole

__all__ = ["Agreed", "SecondRuns", "agreed", "call"]

T = TypeVar("T")


class Agreed(NamedTuple):
    """What a call was given, checked: its course, the budget of that, and what it asks the pool for."""

    course: AttemptPlan
    budget: SharedBudget
    asked: LeaseRequest


def agreed(
    pool: RetryContext,
    *,
    attempts: int = 3,
    deadline_s: float | None = None,
    budget: SharedBudget | None = None,
    labels: Iterable[str] = (),
    exclude: Iterable[str] = (),
    priority: int = 0,
    slots: int = 1,
    key: str | None = None,
    holder: str = "",
    ttl_s: float | None = None,
    tokens: int | None = None,
    hedge_after_s: float | None = None,
) -> Agreed:
    """Return what `call` is given, checked, but for what the pool itself checks. Raises TypeError, ValueError."""
    checked("attempts", attempts, whole)
    for name, value in (("deadline_s", deadline_s), ("hedge_after_s", hedge_after_s)):
        if value is not None:
            checked(name, value, seconds)
    if isinstance(labels, str) or isinstance(exclude, str):
        raise TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, such as {{'a'}}")
    terms = CallPolicy(
        attempts=attempts,
        retries=pool.retries,
        wait_s=pool.acquire_timeout_s if deadline_s is None else math.inf,
        deadline_s=math.inf if deadline_s is None else deadline_s,
        hedge_after_s=hedge_after_s,
    )
    asked = LeaseRequest(frozenset(labels), frozenset(exclude), priority, slots, key, holder, ttl_s, tokens)
    budget = budget or pool.budget
    return Agreed(AttemptPlan(terms, budget=budget, rng=pool.jitter), budget, asked)


def call(
    pool: Leasing,
    fn: Callable[[Lease], T],
    *,
    attempts: int = 3,
    deadline_s: float | None = None,
    budget: SharedBudget | None = None,
    labels: Iterable[str] = (),
    exclude: Iterable[str] = (),
    priority: int = 0,
    slots: int = 1,
    key: str | None = None,
    holder: str = "",
    ttl_s: float | None = None,
    tokens: int | None = None,
    hedge_after_s: float | None = None,
) -> T:
    """Return `fn(lease)`; if an endpoint fails, try again, never where it just failed while another can serve.

    What counts as an endpoint's failure is what counts against it: transport errors, time-outs and `EndpointError`.
    What an endpoint cannot tell (`CannotTell`) is tried again likewise, and held against nobody. Any other exception is
    the caller's own and is raised at once. Pauses are drawn at random and double (`[retries]`); a `Retry-After` is kept
    as well if nobody else can serve. An endpoint that is ejected is not waited for while another one can serve, not
    even if that is where it just failed.

    Args:
        pool: leases the endpoints.
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
    given = agreed(
        pool,
        attempts=attempts,
        deadline_s=deadline_s,
        budget=budget,
        labels=labels,
        exclude=exclude,
        priority=priority,
        slots=slots,
        key=key,
        holder=holder,
        ttl_s=ttl_s,
        tokens=tokens,
        hedge_after_s=hedge_after_s,
    )
    return _Call(pool, fn, given).run()


class SecondRuns:
    """Where the second run of an attempt that is slow is made, if anywhere, and what is told of the loser of the two.

    Args:
        pool: is told.
        course: says whether there is a second run.
        take: puts a lease of another endpoint than these into hand without waiting, and returns its name.
        drop: gives back what is in hand.
    """

    def __init__(
        self, pool: RetryContext, course: AttemptPlan, take: Callable[[frozenset[str]], str], drop: Callable[[], object]
    ) -> None:
        self._pool = pool
        self._course = course
        self._take = take
        self._drop = drop

    def another(self) -> bool:
        """Lease another endpoint for a second run, if the course wants one and a slot is free."""
        decision = self._course.slow(self._pool.clock())
        if not isinstance(decision, Hedge):
            return False
        try:
            name = self._take(decision.avoid)
        except BalancerError:
            return False
        if not self._course.hedged(name, self._pool.clock()):
            self._drop()
            return False
        self._pool.hedged(name)
        return True

    def failed_late(self, lease: Lease) -> None:
        """Tell the pool of a loser that fails after all, by its endpoint's fault."""
        self._pool.pinged(lease.endpoint.name, False)


class _Call(Generic[T]):
    """One call: a drive along its course, and the second run of an attempt that is slow."""

    def __init__(self, pool: Leasing, fn: Callable[[Lease], T], given: Agreed) -> None:
        self._fn = fn
        drive: ThreadDriver[T] = ThreadDriver(pool, given.course, given.budget, self._make, given.asked, sleep=_sleep)
        self._second = SecondRuns(pool, given.course, lambda avoid: drive.take(0, avoid), drive.drop)
        self.run = drive.run

    def _make(self, run: Run, hand: list[Lease]) -> T:
        """Make one attempt with the lease in `hand`."""
        if run.hedge_s < math.inf:
            second = self._second
            return hedged(self._fn, hand, after_s=run.hedge_s, another=second.another, failed_late=second.failed_late)
        with hand[0] as lease:
            return self._fn(lease)


def _sleep(pause_s: float) -> None:
    if pause_s > 0:
        sleep(pause_s)
