"""Call an endpoint, and call another one if that fails: `Pool.call`.

Decides what is tried again, where, when, and when to stop. A shell: it sleeps, and it counts retries under a lock. It
must not know what a call does, nor how the pool chooses.
"""

import math
import random
import threading
from collections.abc import Callable, Iterable
from functools import partial
from time import sleep
from typing import Generic, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from balancer.core.budget import LONGEST_ASKED_S, RetryBudget, pause_s
from balancer.endpoint import Lease, Outcome, outcome_of
from balancer.errors import AcquireTimeout, BalancerError, EndpointOverloaded, NoEndpoint
from balancer.settings.rules import RetrySettings
from balancer.shells.coroutines import at_once
from balancer.shells.hedging import hedged

__all__ = ["Leasing", "SharedBudget", "call"]

T = TypeVar("T")

# While a retry waits for an endpoint others are ejected and come back, so it waits in slices: the first lasts so many
# seconds, each that follows twice as long. Who comes first is served first, and a slice is a new turn: hence doubled.
_FIRST_SLICE_S = 1.0


class Leasing(Protocol):
    """What a call needs of a pool."""

    @property
    def retries(self) -> RetrySettings:
        """How retries are limited and paced."""
        ...

    @property
    def acquire_timeout_s(self) -> float:
        """How long an acquire waits unless it says otherwise, in seconds; `inf`: for ever."""
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

    def out_of_service(self) -> frozenset[str]:
        """Return the names of the endpoints that serve nobody for a while because of their health."""
        ...

    def pinged(self, name: str, ok: bool) -> None:
        """Learn, apart from any lease, whether the endpoint answered; one that has gone does not matter."""
        ...

    def retried(self, name: str) -> None:
        """Count a call that failed at endpoint `name` and is made again."""
        ...

    def hedged(self, name: str) -> None:
        """Count a call that is slow and is made a second time, at endpoint `name`."""
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
            spent = self._budget.try_spend(self._clock())
        return spent  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked

    def wait_s(self) -> float:
        """Return in how many seconds a retry will be possible if there is no call until then; 0: now; `inf`: never."""
        with self._lock:
            left_s = self._budget.wait_s(self._clock())
        return left_s  # noqa: RET504  # see `try_spend`


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
    (`[retries]`); a `Retry-After` is kept as well if nobody else can serve. An endpoint that is ejected is not waited
    for while another one can serve, not even if that is where it just failed.

    Args:
        pool: leases the endpoints.
        fn: the call; its lease ends with it. No coroutine and no generator: their work begins when `fn` has returned.
        attempts: how often at most, the first included (>= 1).
        deadline_s: seconds from now for all waits, pauses and attempts. What is left is how long a lease is waited
            for; no attempt starts after it. One that runs is not cut: give `fn` a time limit of its own. Without one,
            each attempt waits for a lease as the pool was told.
        budget: bounds the retries; default: one that all calls over this pool share.
        labels, exclude, priority, slots, key: as in `Pool.acquire`.
        hedge_after_s: for idempotent calls: an attempt that takes longer than so many seconds is made a second time,
            on another endpoint that is free, if the budget has a retry left. The first success counts. `fn` runs in
            threads of its own; the loser's lease ends at once, as neither success nor failure, and `lease.ended` tells
            its `fn`, which may run on. If it fails after all by its endpoint's fault, that counts as a failed ping
            (`Pool.pinged`): one that always hangs is ejected, however often it loses. None: never.

    Raises:
        AcquireTimeout, NoEndpoint, PoolClosed, TooManyWaiters: there was no endpoint for the first attempt.
        Exception: the last error of `fn`, with a note if it was not tried again although `attempts` were left.
        TypeError: `fn` is a coroutine or generator function, or returns what one does; a string for a collection.
        ValueError: a number is out of range.
    """
    fn = at_once(fn)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ValueError(f"attempts is {attempts!r}; it must be a whole number >= 1")
    for name, seconds in (("deadline_s", deadline_s), ("hedge_after_s", hedge_after_s)):
        if seconds is not None and not (isinstance(seconds, int | float) and seconds >= 0):  # also catches NaN
            raise ValueError(f"{name} is {seconds!r}; it must be a number of seconds >= 0, or None")
    if isinstance(labels, str) or isinstance(exclude, str):
        raise TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, not a string")
    asking = _Asking(pool, frozenset(labels), frozenset(exclude), priority, slots, key)
    return _Call(asking, fn, attempts, deadline_s, budget or pool.budget, hedge_after_s).run()


class _Asking:
    """Leases for one call: what it asks for is always the same, but for whom it avoids.

    Attributes:
        hand: the lease that was granted, until somebody sees to its end: an interrupt finds it here.
    """

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
        self.hand: list[Lease] = []
        self._exclude = exclude
        self._acquire = partial(pool.acquire, labels=labels, priority=priority, slots=slots, key=key)

    def lease(self, timeout_s: float | None, avoid: frozenset[str] = frozenset()) -> str:
        """Put a lease into `hand` and return the name of its endpoint."""
        self.hand.append(self._acquire(timeout_s, exclude=self._exclude | avoid))
        return self.hand[0].endpoint.name

    def drop(self) -> None:
        """Give back what is still in hand."""
        for lease in self.hand:
            if not lease.ended:
                lease.release(Outcome.IGNORED)
        self.hand.clear()


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
        try:
            self._lease()
            return self._do()
        finally:
            self._asking.drop()

    def _lease(self) -> None:
        """Lease for the next attempt; raise the last error if there is no lease, as that is all there is to say."""
        if self._error is None:
            self._at = (self._asking.lease(self._left_s()),)
            self._budget.attempted()
            return
        failed_at = self._at[-1]
        try:
            self._at = (self._lease_elsewhere(),)
        except BalancerError as error:
            self._give_up(f"it was not tried again: {error}")
        else:
            self._asking.pool.retried(failed_at)
            return
        raise self._error

    def _do(self) -> T:
        """Make the call with the lease in hand."""
        hand = self._asking.hand
        try:
            if self._hedge_after_s is not None:
                return hedged(
                    self._fn, hand, after_s=self._hedge_after_s, another=self._another, failed_late=self._failed_late
                )
            with hand[0] as lease:
                return self._fn(lease)
        except Exception as error:
            self._error, self._failed_s = error, self._clock()
            self._failed_at = self._failed_at.union(self._at)
            raise

    def _another(self) -> bool:
        """Lease another endpoint for a second run, if one is free and the budget allows it."""
        if self._left_s() == 0 or self._budget.wait_s() > 0:
            return False
        try:
            name = self._asking.lease(0, self._failed_at.union(self._at))
        except BalancerError:
            return False
        if not self._budget.try_spend():  # another call was faster
            self._asking.drop()
            return False
        self._at = (*self._at, name)
        self._asking.pool.hedged(name)
        return True

    def _failed_late(self, lease: Lease) -> None:
        self._asking.pool.pinged(lease.endpoint.name, False)

    # -- where to go next ----------------------------------------------------------------------------------------

    def _lease_elsewhere(self) -> str:
        """Lease where it may go next, and look again and again where that is: see `_lease_best`."""
        now = began_s = self._clock()
        until_s = began_s + self._asking.pool.acquire_timeout_s if self._until_s is None else self._until_s
        rests_until_s = self._failed_s + self._asked_s()
        slice_s, slept_s = _FIRST_SLICE_S, 0.0
        while True:
            left_s, rest_s = max(0.0, until_s - now), max(0.0, rests_until_s - now)
            wait_s = min(slice_s, left_s, rest_s or math.inf)
            try:
                return self._lease_best(wait_s, resting=rest_s > 0)
            except AcquireTimeout as error:
                if wait_s >= left_s:
                    raise AcquireTimeout(now + wait_s - began_s, until_s - began_s, error.out) from None
            except NoEndpoint:
                if not rest_s:
                    raise
                if rest_s >= left_s:
                    raise _Rests(rest_s, left_s) from None
                sleep(wait_s)
            slept_s += wait_s
            slice_s *= 2
            now = max(self._clock(), began_s + slept_s)  # a clock that stands still must not keep it here

    def _lease_best(self, within_s: float, *, resting: bool) -> str:
        """Lease where it has not failed yet; else where it did not fail last; else, unless that one rests, anywhere.

        While it rests, those that are out of service are waited for instead: one may be back sooner.
        """
        out = self._asking.pool.out_of_service()
        last = frozenset(self._at)
        for avoid in dict.fromkeys((self._failed_at | out, last | out)):
            try:
                return self._asking.lease(within_s, avoid)
            except NoEndpoint:
                continue
        return self._asking.lease(within_s, last if resting else frozenset())

    def _asked_s(self) -> float:
        """Return for how long the endpoint that failed last asked to be left alone; 0: it did not."""
        asked_s = self._error.retry_after_s if isinstance(self._error, EndpointOverloaded) else None
        return min(asked_s or 0.0, LONGEST_ASKED_S)

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


class _Rests(BalancerError):
    """The only endpoint that could serve asks for more time than there is."""

    def __init__(self, rest_s: float, left_s: float) -> None:
        super().__init__(f"it asks for {rest_s:.3g} s, and {left_s:.3g} s are left")
