"""Call an endpoint, and call another one if that fails: `Pool.call`.

Decides what is tried again, where, when, and when to stop. A shell: it sleeps, and it counts retries under a lock. It
must not know what a call does, nor how the pool chooses.
"""

import random
import threading
from collections.abc import Callable, Iterable
from time import sleep
from typing import Generic, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from balancer.endpoint import Lease, Outcome, outcome_of
from balancer.errors import BalancerError, EndpointOverloaded, NoEndpoint
from balancer.hedging import hedged
from balancer.metrics import PoolStats
from balancer.policies import RetrySettings
from balancer.retry import LONGEST_ASKED_S, RetryBudget, pause_s

__all__ = ["Leasing", "SharedBudget", "call", "out_of_service"]

T = TypeVar("T")


class Leasing(Protocol):
    """What a call needs of a pool."""

    @property
    def retries(self) -> RetrySettings:
        """How retries are limited and paced."""
        ...

    @property
    def budget(self) -> "SharedBudget":
        """The retries that all calls over this pool share."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds; never goes back."""
        ...

    def acquire(
        self,
        timeout: float | None = None,
        *,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
    ) -> Lease:
        """Take an endpoint."""
        ...

    def stats(self) -> PoolStats:
        """Return the counters of the pool and of each endpoint."""
        ...


class SharedBudget:
    """A retry budget that threads share. See `RetryBudget`.

    Args:
        settings: ratio, rate and window.
        clock: seconds; never goes back.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._lock = threading.Lock()

    def attempted(self) -> None:
        """Count a first attempt."""
        with self._lock:
            self._budget.attempted(self._clock())

    def try_spend(self) -> bool:
        """Take one retry out of the budget, if there is one."""
        with self._lock:
            return self._budget.try_spend(self._clock())

    def wait_s(self) -> float:
        """Return in how many seconds a retry will be possible if there is no call until then; 0: now; `inf`: never."""
        with self._lock:
            return self._budget.wait_s(self._clock())


# In these states of health it serves nobody until its time is over, unless its limit says otherwise (panic).
_OUT = ("ejected", "resting")


def out_of_service(pool: Leasing) -> frozenset[str]:
    """Return the URLs of the endpoints that serve nobody for a while because of their health; O(N)."""
    return frozenset(
        endpoint.url for endpoint in pool.stats().endpoints if endpoint.health in _OUT and not endpoint.limit
    )


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
    hedge_after_s: float | None = None,
) -> T:
    """Return `fn(lease)`; if an endpoint fails, try again, never where it just failed while another can serve.

    What counts as an endpoint's failure is what counts against it: transport errors, time-outs and `EndpointError`.
    Any other exception is the caller's own and is raised at once. Pauses are drawn at random and double
    (`[retries]`); a `Retry-After` is kept as well if nobody else can serve.

    Args:
        pool: leases the endpoints.
        fn: the call; its lease ends with it.
        attempts: how often at most, the first included (>= 1).
        deadline_s: seconds from now for all waits, pauses and attempts. What is left is how long a lease is waited
            for; no attempt starts after it. One that runs is not cut: give `fn` a time limit of its own.
        budget: bounds the retries; default: one that all calls over this pool share.
        labels, exclude, priority, slots, key: as in `Pool.acquire`.
        hedge_after_s: for idempotent calls: an attempt that takes longer than so many seconds is made a second time,
            on another endpoint that is free, if the budget has a retry left. The first success counts. `fn` runs in
            threads of its own; the loser's lease ends at once, as neither success nor failure, and `lease.ended` tells
            its `fn`, which may run on. None: never.

    Raises:
        AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters: there was no endpoint for the first attempt.
        Exception: the last error of `fn`, with a note if it was not tried again although `attempts` were left.
        ValueError: a number is out of range.
    """
    if attempts < 1:
        raise ValueError(f"attempts is {attempts!r}; it must be at least 1")
    for name, seconds in (("deadline_s", deadline_s), ("hedge_after_s", hedge_after_s)):
        if seconds is not None and not seconds >= 0:  # also catches NaN
            raise ValueError(f"{name} is {seconds!r}; it must be a number of seconds >= 0, or None")
    if isinstance(labels, str) or isinstance(exclude, str):
        raise TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, not a string")
    asking = _Asking(pool, frozenset(labels), frozenset(exclude), priority, slots, key)
    return _Call(asking, fn, attempts, deadline_s, budget or pool.budget, hedge_after_s).run()


class _Asking:
    """Leases for one call: what it asks for is always the same, but for whom it avoids."""

    def __init__(
        self,
        pool: Leasing,
        labels: frozenset[str],
        exclude: frozenset[str],
        priority: int,
        slots: int,
        key: str | None,
    ) -> None:
        self.pool = pool
        self._labels = labels
        self._exclude = exclude
        self._priority = priority
        self._slots = slots
        self._key = key

    def lease(self, timeout_s: float | None, avoid: frozenset[str] = frozenset()) -> Lease:
        return self.pool.acquire(
            timeout_s,
            labels=self._labels,
            exclude=self._exclude | avoid,
            priority=self._priority,
            slots=self._slots,
            key=self._key,
        )


class _Call(Generic[T]):
    """One call, over all its attempts."""

    def __init__(
        self,
        asking: _Asking,
        fn: Callable[[Lease], T],
        attempts: int,
        deadline_s: float | None,
        budget: SharedBudget,
        hedge_after_s: float | None,
    ) -> None:
        self._asking = asking
        self._clock = asking.pool.clock
        self._fn = fn
        self._attempts = attempts
        self._deadline_s = deadline_s
        self._until_s = None if deadline_s is None else self._clock() + deadline_s
        self._budget = budget
        self._hedge_after_s = hedge_after_s
        self._rng: random.Random | None = None
        self._error: BaseException | None = None  # of the last attempt
        self._failed_s = 0.0  # when that was
        self._at: tuple[str, ...] = ()  # where the attempt under way runs, or the last one ran
        self._failed_at: frozenset[str] = frozenset()  # where any attempt failed
        self._over = False

    def run(self) -> T:
        retrying = Retrying(
            retry=retry_if_exception(_is_the_endpoints),
            wait=self._pause_s,
            stop=self._stops,
            sleep=sleep,
            reraise=True,
        )
        return retrying(self._attempt)

    # -- one attempt ---------------------------------------------------------------------------------------------

    def _attempt(self) -> T:
        lease = self._next_lease()
        if lease is None:
            assert self._error is not None, "the first lease is there, or an error"
            raise self._error
        self._at = (lease.endpoint.url,)
        try:
            if self._hedge_after_s is not None:
                return hedged(self._fn, lease, after_s=self._hedge_after_s, another=self._another)
            with lease:
                return self._fn(lease)
        except Exception as error:
            self._error, self._failed_s = error, self._clock()
            self._failed_at = self._failed_at.union(self._at)
            raise

    def _next_lease(self) -> Lease | None:
        """Return the lease for the next attempt; None if there is none, and the last error is all there is to say."""
        if self._error is None:
            lease = self._asking.lease(self._left_s())
            self._budget.attempted()
            return lease
        try:
            return self._lease_elsewhere()
        except BalancerError as error:
            self._give_up(f"it was not tried again: {error}")
            return None

    def _lease_elsewhere(self) -> Lease | None:
        """Lease where it has not failed yet; else where it did not fail last; else, once it may, anywhere."""
        out = out_of_service(self._asking.pool)
        for avoid in dict.fromkeys((self._failed_at, frozenset(self._at))):
            try:
                return self._asking.lease(self._left_s(), avoid | out)
            except NoEndpoint:
                continue
        return self._asking.lease(self._left_s()) if self._rests() else None

    def _rests(self) -> bool:
        """Leave the endpoint alone for as long as it asked. Return False, at once, if there is not that much time."""
        asked_s = self._error.retry_after_s if isinstance(self._error, EndpointOverloaded) else None
        rest_s = self._failed_s + min(asked_s or 0.0, LONGEST_ASKED_S) - self._clock()
        left_s = self._left_s()
        if left_s is not None and 0 < rest_s >= left_s:
            self._give_up(f"it was not tried again: it asks for {rest_s:.3g} s, and {left_s:.3g} s are left")
            return False
        if rest_s > 0:
            sleep(rest_s)
        return True

    def _another(self) -> Lease | None:
        """Lease another endpoint for a second run, if one is free and the budget allows it."""
        if self._left_s() == 0 or self._budget.wait_s() > 0:
            return None
        try:
            lease = self._asking.lease(0, self._failed_at.union(self._at))
        except BalancerError:
            return None
        if not self._budget.try_spend():  # another call was faster
            lease.release(Outcome.IGNORED)
            return None
        self._at = (*self._at, lease.endpoint.url)
        return lease

    # -- between attempts ----------------------------------------------------------------------------------------

    def _pause_s(self, state: RetryCallState) -> float:
        self._rng = self._rng or random.Random()
        drawn_s = pause_s(self._asking.pool.retries, state.attempt_number, self._rng)
        left_s = self._left_s()
        # Half of what is left, so that some is left for the attempt.
        return drawn_s if left_s is None else min(drawn_s, left_s / 2)

    def _stops(self, state: RetryCallState) -> bool:
        if self._over or state.attempt_number >= self._attempts:
            return True
        if self._left_s() == 0:
            self._give_up(f"it was not tried again: the deadline of {self._deadline_s:g} s has passed")
        elif not self._budget.try_spend():
            self._give_up("it was not tried again: the retry budget is empty, because too many calls fail")
        return self._over

    def _give_up(self, why: str) -> None:
        self._over = True
        if self._error is not None:
            self._error.add_note(why)

    def _left_s(self) -> float | None:
        return None if self._until_s is None else max(0.0, self._until_s - self._clock())


def _is_the_endpoints(error: BaseException) -> bool:
    return outcome_of(error) in (Outcome.FAILURE, Outcome.OVERLOAD)
