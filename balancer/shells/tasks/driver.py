"""The driver of a call in a task: carries out an attempt plan.

It is as `balancer.shells.driver.ThreadDriver`, but it can end an attempt that still runs at the deadline of its call.
"""

import math
from collections.abc import Awaitable
from typing import TypeVar

from balancer.core.decisions import Ask, Over, Run
from balancer.shells.driver import CallDriver
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
        """Carry out the plan until it is over. Raises as `ThreadDriver.run` does."""
        following = self.first()
        try:
            while True:
                step = following  # as in `ThreadDriver.run`
                try:
                    if isinstance(step, Over):
                        break
                    if isinstance(step, Run):
                        made: Awaitable[T] = self.attempt(step) if step.cut_s == math.inf else self._cut_attempt(step)
                        done = await made
                        self.plan.succeeded()
                        return done
                    if isinstance(step, Ask):
                        self.hand.append(await self._engine.acquire_in_task(self._wanted(step)))
                    elif step.for_s > 0:
                        await spot().wait(step.for_s)
                except Exception as error:
                    following = self.after_error(step, error)
                else:
                    following = self.after(step)
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
                done: T = await self.attempt(run)
                return done
            raise self.overrun()
        finally:
            self._limit = None

    def _collected(self) -> None:
        """If the lease in `hand` cannot be released now, leave it: it will be found as abandoned."""
        if self._engine.is_inside():
            for lease in self.hand:
                lease.entered = True
            self.hand.clear()
