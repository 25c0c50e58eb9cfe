"""The driver of a call in a task: carries out an attempt plan.

It is as `balancer.shells.driver.ThreadDriver`, but it can end an attempt that still runs at the deadline of its call.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from balancer.core.decisions import Ask, Run
from balancer.shells.driver import CallDriver, follow_in_task
from balancer.shells.tasks.parking import TimeLimit, spot, time_limit

__all__ = ["TaskDriver"]

T = TypeVar("T")


class TaskDriver(CallDriver[T]):
    """One call with its plan, in one task. Args: as for `CallDriver`.

    An attempt ends its lease by `counts_as` of its error.
    """

    _run_now = Run()
    _limit: TimeLimit | None = None  # of the current attempt

    async def run(self) -> T:
        """Carry out the plan until it is over; see `CallDriver.steps`."""
        return await follow_in_task(self.steps())

    async def lease(self, ask: Ask) -> None:
        self.hand.append(await self._engine.acquire_in_task(self._wanted(ask)))

    async def pause(self, for_s: float) -> None:
        if for_s > 0:
            await spot().wait(for_s)

    def attempting(self, run: Run) -> Callable[[], Any]:
        return partial(self.attempt if run.cut_s == math.inf else self._cut_attempt, run)

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`. A cut may count as a timeout."""
        is_cut = self._limit is not None and self._limit.is_over and not isinstance(error, Exception)
        return self.late() if is_cut and self._run_now.cut_blames else error

    async def _cut_attempt(self, run: Run) -> T:
        """Make one attempt. It ends at the deadline."""
        self._run_now = run
        try:
            async with time_limit(run.cut_s) as self._limit:
                done: T = await self.attempt(run)
                return done
            raise self.overrun()
        finally:
            self._limit = None
