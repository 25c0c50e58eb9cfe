"""The driver of a call in a task: it carries out an attempt plan.

It waits where `balancer.shells.driver.ThreadDriver` does, and decides as little: what follows from what is the
course's.
Unlike a thread, a task can be ended: an attempt that still runs at the deadline of its call is.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask, Over, Pause, Run
from balancer.endpoint import Lease, may_go_elsewhere
from balancer.errors import BalancerError
from balancer.shells.driver import CallDriver, DeadlinePassed, LeaseRequest
from balancer.shells.leasing import SharedBudget
from balancer.shells.tasks.parking import TimeLimit, spot, time_limit

if TYPE_CHECKING:
    from balancer.shells.tasks.face import TaskPool

__all__ = ["TaskDriver"]

T = TypeVar("T")

_NONE = frozenset[str]()


class TaskDriver(CallDriver, Generic[T]):
    """One call along its course, in one task.

    Args:
        tasks: leases the endpoints.
        course: fresh.
        budget: that of the course.
        make: makes one attempt with the lease in the list that it is given, and ends that lease.
        asked: what the call asks for.

    `make` ends its leases by `counts_as` of what the attempt raised.
    """

    def __init__(
        self,
        tasks: "TaskPool",
        course: AttemptPlan,
        budget: SharedBudget,
        make: Callable[[Run, list[Lease]], Awaitable[T]],
        asked: LeaseRequest,
    ) -> None:
        super().__init__(tasks.pool, course, budget)
        self._tasks = tasks
        self._make = make
        self._asked = asked
        self._run_now = Run()
        self._limit: TimeLimit | None = None  # of the attempt under way

    async def run(self) -> T:
        """Do what the course says until it is over; raises as `Drive.run` does."""
        decision: Ask | Run | Pause | Over = self.begin()
        try:
            while not isinstance(decision, Over):
                if isinstance(decision, Run):
                    try:
                        done = await self._run(decision)
                    except DeadlinePassed as error:
                        decision = self.cut(error)
                    except Exception as error:
                        if not may_go_elsewhere(error):
                            raise
                        decision = self.failed(error)
                    else:
                        self._course.succeeded()
                        return done
                elif isinstance(decision, Ask):
                    decision = await self._ask(decision)
                else:
                    await _pause(decision.for_s)
                    decision = self.resumed()
        except GeneratorExit:
            self._collected()
            raise
        finally:
            self.drop()
        raise self.given_up(decision)

    def take_at_once(self, avoid: frozenset[str]) -> str:
        """Put a lease of another endpoint than these into hand without waiting; raises as `Pool.acquire` does."""
        self.hand.append(self._tasks.pool.acquire(0, **self._asked.but(avoid)))
        return self.hand[0].endpoint.name

    async def _ask(self, ask: Ask) -> Ask | Run | Pause | Over:
        """Lease for the next try."""
        try:
            if self.is_plain(ask):
                self.hand.append(await self._tasks.acquire(ask.within_s, **self._asked.but(_NONE)))
            else:
                self.hand.append(await self._tasks.acquire_again(self._course, ask, **self._asked.but(_NONE)))
        except BalancerError as error:
            return self.without(error)
        return self.leased()

    def counts_as(self, error: BaseException) -> BaseException:
        """Return what the end of an attempt by `error` says of its endpoint: if it is cut, perhaps that it is slow."""
        is_cut = self._limit is not None and self._limit.is_over and not isinstance(error, Exception)
        return DeadlinePassed(self.at, self._course.terms.deadline_s) if is_cut and self._run_now.cut_blames else error

    async def _run(self, run: Run) -> T:
        try:
            if run.cut_s == math.inf:
                return await self._make(run, self.hand)
            self._run_now = run
            async with time_limit(run.cut_s) as self._limit:
                return await self._make(run, self.hand)
            raise DeadlinePassed(self.at, self._course.terms.deadline_s)
        except GeneratorExit:
            self._collected()
            raise
        finally:
            self._limit = None
            self.drop()

    def _collected(self) -> None:
        """Leave what is in hand to whoever looks for leases that nobody has, if it cannot be given back just now."""
        if self._tasks.pool.is_inside:
            for lease in self.hand:
                lease.entered = True
            self.hand.clear()


async def _pause(for_s: float) -> None:
    if for_s > 0:
        await spot().wait(for_s)
