"""The drivers of a request: they carry out its attempt plan, as `Pool.call` does, in a thread or in a task."""

import math
from typing import Any

from balancer.core.decisions import Run
from balancer.errors import CannotTell
from balancer.shells.acts import follow, follow_in_task
from balancer.shells.driver import ThreadDriver
from balancer.shells.tasks.driver import TaskDriver
from balancer.transports.exchange import RequestExchange
from balancer.transports.time_bound import TimeBound

__all__ = ["TaskRequest", "ThreadRequest"]


class ThreadRequest(ThreadDriver[Any]):
    """One request along its plan. An attempt that still runs at the deadline is ended, as it would be in a task.

    Args:
        exchange: the request.
    """

    _bound: TimeBound | None = None  # of the current attempt
    _run_now = Run()

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        if run.cut_s == math.inf:
            return self._attempt(run)
        self._run_now, self._bound = run, TimeBound(run.cut_s)
        try:
            with self._bound:
                return self._attempt(run)
        except Exception:
            if not self._bound.is_over:
                raise
        raise self.overrun()

    def _attempt(self, run: Run) -> Any:
        answer = follow(self._exchange.attempt(self, self.counts_as, self.hand[0], run))
        self.hand.clear()  # now the body has the lease
        return answer

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`."""
        if self._bound is None or not isinstance(error, Exception):
            return error
        # An inner transport that keeps no bound has shorter timeouts.
        timed_out = type(error).__name__.endswith("Timeout") and self._clock() >= self.plan.until_s
        if not (self._bound.is_over or timed_out):
            return error
        return self.late() if self._run_now.cut_blames else CannotTell("it was asked too late")


class TaskRequest(TaskDriver[Any]):
    """One request along its plan, in a task.

    Args:
        exchange: the request.
    """

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    async def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return await self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    async def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        answer = await follow_in_task(self._exchange.attempt(self, self.counts_as, self.hand[0]))
        self.hand.clear()  # now the body has the lease
        return answer
