"""The driver of a call in a task: carries out an attempt plan.

It is as `balancer.shells.driver.ThreadDriver`, but it can end an attempt that still runs at the deadline of its call.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import Ask, Over, Run
from balancer.endpoint import Lease
from balancer.shells.driver import CallDriver, Step
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.shared_budget import SharedBudget
from balancer.shells.tasks.parking import TimeLimit, spot, time_limit

__all__ = ["AbstractTaskDriver", "TaskDriver"]

T = TypeVar("T")


class AbstractTaskDriver(CallDriver, ABC, Generic[T]):
    """One call with its plan, in one task. A subclass makes the attempts. Args: as for `CallDriver`."""

    _run_now = Run()
    _limit: TimeLimit | None = None  # of the current attempt

    @abstractmethod
    def attempt(self, run: Run) -> Awaitable[T]:
        """Make one attempt with the lease in `hand`, and end that lease by `counts_as` of the attempt's error."""

    async def run(self) -> T:
        """Carry out the plan until it is over. Raises as `ThreadDriver.run` does."""
        step: Step = self.first()
        try:
            while True:
                error: Exception | None = None
                try:
                    if isinstance(step, Ask):
                        self.hand.append(await self._engine.acquire_in_task(*self._asking(step)))
                    elif isinstance(step, Run):
                        done = await (self.attempt(step) if step.cut_s == math.inf else self._cut_attempt(step))
                        if self._plan is not None:
                            self._plan.succeeded()
                        return done
                    elif isinstance(step, Over):
                        break
                    elif step.for_s > 0:
                        await spot().wait(step.for_s)
                except Exception as raised:
                    if not self.goes_on_after(raised, step):
                        raise
                    error = raised
                step = self.after(step, error)
        except GeneratorExit:
            self._collected()
            raise
        finally:
            if self.hand:
                self.drop()
        raise self.given_up(step)

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`. A cut may count as a timeout."""
        is_cut = self._limit is not None and self._limit.is_over and not isinstance(error, Exception)
        return self.late() if is_cut and self._run_now.cut_blames else error

    async def _cut_attempt(self, run: Run) -> T:
        """Make one attempt. It ends at the deadline."""
        self._run_now = run
        try:
            async with time_limit(run.cut_s) as self._limit:
                return await self.attempt(run)
            raise self.overrun()
        finally:
            self._limit = None

    def _collected(self) -> None:
        """If the lease in `hand` cannot be released now, leave it: it will be found as abandoned."""
        if self._engine.is_inside():
            for lease in self.hand:
                lease.entered = True
            self.hand.clear()


class TaskDriver(AbstractTaskDriver[T]):
    """One call with its plan, in one task, by a function.

    Args:
        engine, plans, asked, budget, tells: as for `CallDriver`.
        make: makes one attempt with the lease in the given list, and ends that lease by `counts_as` of the attempt's
            error.
    """

    def __init__(
        self,
        engine: Engine,
        plans: AttemptPlans,
        asked: LeaseRequest,
        make: Callable[[Run, list[Lease]], Awaitable[T]],
        *,
        budget: SharedBudget | None = None,
        tells: bool = True,
    ) -> None:
        super().__init__(engine, plans, asked, budget=budget, tells=tells)
        self._make = make

    def attempt(self, run: Run) -> Awaitable[T]:
        """Make one attempt."""
        return self._make(run, self.hand)
