"""`pool.aio.call`: call an endpoint in a task, and another one if that fails.

`balancer.shells.calls` has the arguments; the core decides where and when to retry.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar, Unpack

from balancer.core.decisions import Run
from balancer.endpoint import Lease
from balancer.shells.calls import USUAL, CallArguments, CallRequest
from balancer.shells.coroutines import awaitable, check_works_later
from balancer.shells.engine import Engine
from balancer.shells.tasks.driver import TaskDriver
from balancer.shells.tasks.hedging import hedged

__all__ = ["call"]

T = TypeVar("T")


def call(engine: Engine, fn: Callable[[Lease], Awaitable[T]], **asked: Unpack[CallArguments]) -> Awaitable[T]:
    """Return `await fn(lease)`, after as many attempts as needed; see `balancer.opening.aio.TaskPool.call`."""
    check_works_later(fn)
    request = CallRequest(**asked) if asked else USUAL
    return _Call(engine, request, fn).run()


class _Call(TaskDriver[T]):
    """One call of `fn`."""

    def __init__(self, engine: Engine, asked: CallRequest, fn: Callable[[Lease], Awaitable[T]]) -> None:
        super().__init__(engine, asked.plans(engine), asked, budget=asked.budget)
        self._fn = fn

    async def attempt(self, run: Run) -> T:
        if run.hedge_s < math.inf:
            return await hedged(
                self._later,
                self.hand,
                after_s=run.hedge_s,
                another=self.another,
                failed_late=self.failed_late,
                counts_as=self.counts_as,
            )
        lease = self.hand[0]
        lease.entered = True
        try:
            done = await self._later(lease)
        except GeneratorExit:  # the task is collected: `run` handles the lease
            raise
        except BaseException as error:
            told = self.counts_as(error)
            lease.__exit__(type(told), told, error.__traceback__)
            raise
        lease.__exit__(None, None, None)
        self.hand.clear()
        return done

    def _later(self, lease: Lease) -> Awaitable[T]:
        return awaitable(self._fn(lease))
