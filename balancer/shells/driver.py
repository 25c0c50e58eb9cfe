"""The driver of a call: it carries out an attempt plan in the calling thread.

A shell: it reads the clock, sleeps, and waits in the pool. It decides nothing but which error a call ends with. It must
not know what a call does, nor why the course says what it says. What `CallDriver` does, which waits for nothing, is the
same for threads and for tasks (`balancer.shells.tasks.driver`).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask, Over, Pause, Run, Why
from balancer.endpoint import Lease, Outcome, hint_of, may_go_elsewhere
from balancer.errors import BalancerError, LeaseError, NoEndpoint, PoolClosed
from balancer.shells.arguments import Wanted
from balancer.shells.leasing import Leasing, RetryContext, SharedBudget

__all__ = ["CallDriver", "DeadlinePassed", "LeaseRequest", "ThreadDriver"]

T = TypeVar("T")

_NONE = frozenset[str]()


class DeadlinePassed(TimeoutError):
    """An attempt was ended, because the deadline of its call had passed."""

    def __init__(self, at: str, deadline_s: float) -> None:
        super().__init__(f"{at} had not answered when the deadline of {deadline_s:g} s had passed; the call was ended")


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a call asks a pool for, wherever its course leads; as in `Pool.acquire`."""

    labels: frozenset[str] = _NONE
    exclude: frozenset[str] = _NONE
    priority: int = 0
    slots: int = 1
    key: str | None = None
    holder: str = ""
    ttl_s: float | None = None
    tokens: int | None = None

    def but(self, avoid: frozenset[str]) -> Wanted:
        """Return it as keyword arguments, for a lease of another endpoint than these."""
        return {
            "labels": self.labels,
            "exclude": self.exclude | avoid if avoid else self.exclude,
            "priority": self.priority,
            "slots": self.slots,
            "key": self.key,
            "holder": self.holder,
            "ttl_s": self.ttl_s,
            "tokens": self.tokens,
        }


class CallDriver:
    """One call along its course, but for all that it waits for.

    Args:
        pool: is asked who is out of service, and told of retries.
        course: fresh.
        budget: that of the course.
        clock: seconds; by default the pool's.

    Attributes:
        at: where the last try was; "" before the first.
        hand: the lease that was granted, until its end is seen to: an interrupt finds it here.
    """

    def __init__(
        self, pool: RetryContext, course: AttemptPlan, budget: SharedBudget, clock: Callable[[], float] | None = None
    ) -> None:
        self._told = pool
        self._course = course
        self._budget = budget
        self._clock = clock or pool.clock
        self._error: Exception | None = None  # of the last try
        self.hand: list[Lease] = []
        self.at = ""

    def drop(self) -> None:
        """Give back what is still in hand."""
        for lease in self.hand:
            if not lease.ended:
                with suppress(LeaseError):  # its time ran out just now
                    lease.release(Outcome.IGNORED)
        self.hand.clear()

    def begin(self) -> Ask:
        """Begin the call."""
        out = self._told.out_of_service() if self._course.terms.shuns else _NONE
        return self._course.begin(self._clock(), out)

    def is_plain(self, ask: Ask) -> bool:
        """Return whether `ask` is for a first try that is like any acquire; else it may look again while it waits."""
        return not (self.at or ask.avoid or ask.labels)

    def leased(self) -> Run:
        """Go on with the lease in hand."""
        failed_at, self.at = self.at, self.hand[0].endpoint.name
        if failed_at:
            self._told.retried(failed_at)
        else:
            self._budget.attempted()
        return self._course.granted(self.at, self._clock())

    def without(self, error: BalancerError) -> Ask | Pause | Over:
        """Go on without a lease. If it ends here, a failed attempt's own error says more than that of the pool."""
        if isinstance(error, NoEndpoint):
            decision = self._course.no_endpoint(self._clock(), self._told.out_of_service())
        elif isinstance(error, PoolClosed):
            decision = Over(Why.NO_LEASE)
        else:
            decision = self._course.no_lease(self._clock())
        if isinstance(decision, Over) and decision.why in (Why.NO_LEASE, Why.REST):
            if self._error is None:
                raise error
            return Over(decision.why, decision.note or str(error))
        if not isinstance(error, NoEndpoint):
            self._error = error
        return decision

    def failed(self, error: Exception) -> Pause | Over:
        """Tell the course of an attempt that came to nothing, by no fault of the caller."""
        self._error = error
        hint = hint_of(error)
        asked_s = hint.retry_after_s if hint is not None else None
        return self._course.failed(self._clock(), asked_s or 0.0)

    def cut(self, error: DeadlinePassed) -> Over:
        """Tell the course of an attempt that was ended at its deadline. The error says so, and needs no note."""
        self._error = error
        return Over(self._course.cut(self._clock()).why)

    def resumed(self) -> Ask | Pause | Over:
        """Go on after a pause."""
        return self._course.resume(self._clock(), self._told.out_of_service())

    def given_up(self, over: Over) -> Exception:
        """Return what the call ends with: the last error, with a note if there is more to say."""
        assert self._error is not None, "before anything has failed, the pool's own error was raised"
        if over.note:
            self._error.add_note(f"it was not tried again: {over.note}")
        return self._error


class ThreadDriver(CallDriver, Generic[T]):
    """One call along its course, in one thread.

    Args:
        pool: leases the endpoints.
        course: fresh.
        budget: that of the course.
        make: makes one attempt with the lease in the list that it is given, and ends that lease.
        asked: what the call asks for.
        sleep: pauses; what it raises ends the call.
        clock: seconds; by default the pool's.
    """

    def __init__(
        self,
        pool: Leasing,
        course: AttemptPlan,
        budget: SharedBudget,
        make: Callable[[Run, list[Lease]], T],
        asked: LeaseRequest,
        *,
        sleep: Callable[[float], object],
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(pool, course, budget, clock)
        self._pool = pool
        self._make = make
        self._asked = asked
        self._sleep = sleep

    def run(self) -> T:
        """Do what the course says until it is over.

        Raises:
            BalancerError: what the pool said, if there was no lease for the first try.
            Exception: the last error of an attempt, with a note if there is more to say.
        """
        decision: Ask | Run | Pause | Over = self.begin()
        try:
            while not isinstance(decision, Over):
                if isinstance(decision, Run):
                    try:
                        done = self._run(decision)
                    except Exception as error:
                        if not may_go_elsewhere(error):
                            raise
                        decision = self.failed(error)
                    else:
                        self._course.succeeded()
                        return done
                elif isinstance(decision, Ask):
                    decision = self._ask(decision)
                else:
                    self._sleep(decision.for_s)
                    decision = self.resumed()
        finally:
            self.drop()
        raise self.given_up(decision)

    def take(self, timeout_s: float, avoid: frozenset[str]) -> str:
        """Put a lease of another endpoint than these into hand, and return its name. Raises as `Pool.acquire` does."""
        # No call between the end of this one and the hand but that of a method of Python: an interrupt comes at others.
        self.hand.append(self._pool.acquire(timeout_s, **self._asked.but(avoid)))
        return self.hand[0].endpoint.name

    def _ask(self, ask: Ask) -> Ask | Run | Pause | Over:
        """Lease for the next try."""
        try:
            self._lease(ask)
        except BalancerError as error:
            return self.without(error)
        return self.leased()

    def _lease(self, ask: Ask) -> None:
        if self.is_plain(ask):
            self.take(ask.within_s, _NONE)
        else:
            self.hand.append(self._pool.acquire_again(self._course, ask, **self._asked.but(_NONE)))

    def _run(self, run: Run) -> T:
        try:
            return self._make(run, self.hand)
        finally:
            self.drop()
