"""Drives the course of a call in the thread that makes it: leases, pauses and tries as the course says.

A shell: it reads the clock, sleeps, and waits in the pool. It decides nothing but which error a call ends with. It must
not know what a call does, nor why the course says what it says.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from balancer.core.course import Course
from balancer.core.decisions import Ask, Over, Pause, Run, Why
from balancer.endpoint import Lease, Outcome, hint_of, outcome_of
from balancer.errors import BalancerError, LeaseError, NoEndpoint, PoolClosed
from balancer.shells.leasing import Leasing, SharedBudget

__all__ = ["Asked", "Drive"]

T = TypeVar("T")

_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks a pool for, wherever its course leads; as in `Pool.acquire`."""

    labels: frozenset[str] = _NONE
    exclude: frozenset[str] = _NONE
    priority: int = 0
    slots: int = 1
    key: str | None = None
    holder: str = ""
    ttl_s: float | None = None


class Drive(Generic[T]):
    """One call along its course.

    Args:
        pool: leases the endpoints.
        course: fresh.
        budget: that of the course.
        make: makes one attempt with the lease in the list that it is given, and ends that lease.
        asked: what the call asks for.
        sleep: pauses; what it raises ends the call.
        clock: seconds; by default the pool's.

    Attributes:
        at: where the last try was; "" before the first.
    """

    def __init__(
        self,
        pool: Leasing,
        course: Course,
        budget: SharedBudget,
        make: Callable[[Run, list[Lease]], T],
        asked: Asked,
        *,
        sleep: Callable[[float], object],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._pool = pool
        self._course = course
        self._budget = budget
        self._make = make
        self._asked = asked
        self._sleep = sleep
        self._clock = clock or pool.clock
        self._hand: list[Lease] = []  # the lease that was granted, until its end is seen to: an interrupt finds it here
        self._error: Exception | None = None  # of the last try
        self.at = ""

    def run(self) -> T:
        """Do what the course says until it is over.

        Raises:
            BalancerError: what the pool said, if there was no lease for the first try.
            Exception: the last error of an attempt, with a note if there is more to say.
        """
        out = self._pool.out_of_service() if self._course.terms.shuns else _NONE
        decision: Ask | Run | Pause | Over = self._course.begin(self._clock(), out)
        try:
            while not isinstance(decision, Over):
                if isinstance(decision, Run):
                    try:
                        done = self._run(decision)
                    except Exception as error:
                        if outcome_of(error) not in (Outcome.FAILURE, Outcome.OVERLOAD):
                            raise
                        decision = self._failed(error)
                    else:
                        self._course.succeeded()
                        return done
                elif isinstance(decision, Ask):
                    decision = self._ask(decision)
                else:
                    self._sleep(decision.for_s)
                    decision = self._course.resume(self._clock(), self._pool.out_of_service())
        finally:
            self.drop()
        assert self._error is not None, "before anything has failed, the pool's own error was raised"
        if decision.note:
            self._error.add_note(f"it was not tried again: {decision.note}")
        raise self._error

    # -- leases ------------------------------------------------------------------------------------

    def take(self, timeout_s: float, avoid: frozenset[str]) -> str:
        """Put a lease of another endpoint than these into hand, and return its name. Raises as `Pool.acquire` does."""
        asked = self._asked
        # No call between the end of this one and the hand but that of a method of Python: an interrupt comes at others.
        self._hand.append(
            self._pool.acquire(
                timeout_s,
                labels=asked.labels,
                exclude=asked.exclude | avoid,
                priority=asked.priority,
                slots=asked.slots,
                key=asked.key,
                holder=asked.holder,
                ttl_s=asked.ttl_s,
            )
        )
        return self._hand[0].endpoint.name

    def drop(self) -> None:
        """Give back what is still in hand."""
        for lease in self._hand:
            if not lease.ended:
                with suppress(LeaseError):  # its time ran out just now
                    lease.release(Outcome.IGNORED)
        self._hand.clear()

    def _ask(self, ask: Ask) -> Ask | Run | Pause | Over:
        """Lease for the next try."""
        failed_at = self.at
        try:
            self._lease(ask)
        except BalancerError as error:
            return self._without(error)
        if failed_at:
            self._pool.retried(failed_at)
        else:
            self._budget.attempted()
        return self._course.granted(self.at, self._clock())

    def _lease(self, ask: Ask) -> None:
        if not (self.at or ask.avoid or ask.labels):
            self.at = self.take(ask.within_s, _NONE)
            return
        asked = self._asked
        self._hand.append(
            self._pool.acquire_again(
                self._course,
                ask,
                labels=asked.labels,
                exclude=asked.exclude,
                priority=asked.priority,
                slots=asked.slots,
                key=asked.key,
                holder=asked.holder,
                ttl_s=asked.ttl_s,
            )
        )
        self.at = self._hand[0].endpoint.name

    def _without(self, error: BalancerError) -> Ask | Pause | Over:
        """Go on without a lease. If it ends here, a failed attempt's own error says more than that of the pool."""
        if isinstance(error, NoEndpoint):
            decision = self._course.no_endpoint(self._clock(), self._pool.out_of_service())
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

    # -- one attempt -------------------------------------------------------------------------------

    def _run(self, run: Run) -> T:
        try:
            return self._make(run, self._hand)
        finally:
            self.drop()

    def _failed(self, error: Exception) -> Pause | Over:
        """Tell the course of a failure that is the endpoint's."""
        self._error = error
        hint = hint_of(error)
        asked_s = hint.retry_after_s if hint is not None else None
        return self._course.failed(self._clock(), asked_s or 0.0)
