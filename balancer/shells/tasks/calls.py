"""`pool.aio.call`: call an endpoint in a task, and another one if that fails.

`balancer.shells.calls` has the arguments; the core decides where and when to retry.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.shells.calls import CallArguments, CallRequest, HedgeControl
from balancer.shells.coroutines import awaited
from balancer.shells.engine import Engine
from balancer.shells.tasks.driver import TaskDriver
from balancer.shells.tasks.hedging import hedged

__all__ = ["call"]

T = TypeVar("T")


async def call(engine: Engine, fn: Callable[[Lease], Awaitable[T]], **asked: Unpack[CallArguments]) -> T:
    """Return `await fn(lease)`, after as many attempts as needed; see `balancer.pool.aio.TaskPool.call`."""
    return await _Call(engine, awaited(fn), CallRequest(**asked)).run()


class _Call(Generic[T]):
    """One call: a driver that follows its plan, and the second run of a slow attempt."""

    def __init__(self, engine: Engine, fn: Callable[[Lease], Awaitable[T]], asked: CallRequest) -> None:
        self._fn = fn
        plan = asked.plan(engine)
        driver = TaskDriver(engine, plan, asked, self._make, budget=asked.budget)
        self._counts_as = driver.counts_as
        self._hedge = HedgeControl(engine, plan, driver)
        self.run = driver.run

    async def _make(self, run: Run, hand: list[Lease]) -> T:
        if run.hedge_s < math.inf:
            hedge = self._hedge
            return await hedged(
                self._fn,
                hand,
                after_s=run.hedge_s,
                another=hedge.another,
                failed_late=hedge.failed_late,
                counts_as=self._counts_as,
            )
        lease = hand[0]
        lease.entered = True
        try:
            done = await self._fn(lease)
        except GeneratorExit:  # the task is collected: its driver handles the lease
            raise
        except BaseException as error:
            told = self._counts_as(error)
            lease.__exit__(type(told), told, error.__traceback__)
            raise
        lease.__exit__(None, None, None)
        return done
