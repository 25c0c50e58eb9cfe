"""`pool.aio.call`: call an endpoint in a task, and another one if that fails.

Decides how the two runs of a hedged call are made. What a call may be given is said in `balancer.shells.calls`, and
where and when it is tried again in the core.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.shells.arguments import Wanted
from balancer.shells.calls import Agreed, SecondRuns, agreed
from balancer.shells.coroutines import awaited
from balancer.shells.leasing import SharedBudget
from balancer.shells.tasks.driver import TaskDriver
from balancer.shells.tasks.hedging import hedged

if TYPE_CHECKING:
    from balancer.shells.tasks.face import TaskPool

__all__ = ["CallWanted", "call"]

T = TypeVar("T")


class CallWanted(Wanted, total=False):
    """What a call may be given; see `balancer.shells.calls.call`."""

    attempts: int
    deadline_s: float | None
    budget: SharedBudget | None
    hedge_after_s: float | None


async def call(tasks: "TaskPool", fn: Callable[[Lease], Awaitable[T]], **wanted: Unpack[CallWanted]) -> T:
    """Return `await fn(lease)`, over all the attempts that it takes; see `TaskPool.call`."""
    fn = awaited(fn)
    return await _Call(tasks, fn, agreed(tasks.pool, **wanted)).run()


class _Call(Generic[T]):
    """One call: a drive along its course, and the second run of an attempt that is slow."""

    def __init__(self, tasks: "TaskPool", fn: Callable[[Lease], Awaitable[T]], given: Agreed) -> None:
        self._fn = fn
        self._pool = tasks.pool
        drive: TaskDriver[T] = TaskDriver(tasks, given.course, given.budget, self._make, given.asked)
        self._counts_as = drive.counts_as
        self._second = SecondRuns(tasks.pool, given.course, drive.take_at_once, drive.drop)
        self.run = drive.run

    async def _make(self, run: Run, hand: list[Lease]) -> T:
        """Make one attempt with the lease in `hand`."""
        if run.hedge_s < math.inf:
            second = self._second
            return await hedged(
                self._fn,
                hand,
                after_s=run.hedge_s,
                another=second.another,
                failed_late=second.failed_late,
                counts_as=self._counts_as,
            )
        lease = hand[0]
        lease.entered = True
        try:
            done = await self._fn(lease)
        except GeneratorExit:  # the task is collected: its drive sees to the lease
            raise
        except BaseException as error:
            told = self._counts_as(error)
            lease.__exit__(type(told), told, error.__traceback__)
            raise
        lease.__exit__(None, None, None)
        return done
