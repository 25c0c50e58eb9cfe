"""Carries out a plan with `pool.aio.call` itself, in tasks that are driven by hand, without an event loop.

Decides only what a task waits for: one that waits or works is left where it is until its time has come, then goes on
at once, as the threads of `tests.equivalence.driven` do. What is due, and what a call does, is as there.
"""

from collections.abc import Coroutine, Generator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from math import inf
from types import coroutine
from typing import Any
from unittest.mock import patch

from balancer import BalancerError, Lease
from tests.equivalence.driven import Driver, PlanOver
from tests.equivalence.plan import Arrival

__all__ = ["TaskDriver"]


@coroutine
def _parked() -> Generator[None, bool, bool]:
    """Stay here until the task is told to go on; return whether that is because time was up."""
    late = yield
    return late


class _Task:
    """A task that makes one call, and can be told to go on."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self.is_over = False
        self.parked = False

    def go_on(self, *, late: bool | None = None) -> None:
        """Let it go on until it is parked again, or has ended. `late` is what it is told; None: it begins."""
        self.parked = False
        try:
            self._work.send(late)
        except StopIteration:
            self.is_over = True
        self.parked = True


class _HandSpot:
    """Stands for the place where a waiter waits; time is up by hand."""

    is_over = False

    def __init__(self, driver: "TaskDriver") -> None:
        self._driver = driver
        self._task = driver.current
        self._turn = 0
        self._waits = self._woken = False

    def wake(self) -> bool:
        assert not self._woken, "the pool wakes a waiter twice"
        self._woken = True
        self._driver.pool.woken(self._driver.pool.engine.waits.places[self])
        if self._waits:
            self._go_on(late=False)
        return True

    async def wait(self, nap_s: float) -> None:
        self._turn += 1
        self._waits = True
        if nap_s < inf:
            self._driver.pool.after(nap_s, partial(self._expire, self._turn))
        await _parked()

    def _expire(self, turn: int) -> None:
        if self._waits and turn == self._turn:
            self._go_on(late=True)

    def _go_on(self, *, late: bool) -> None:
        self._waits = False
        self._driver.let_go_on(self._task, late=late)


class TaskDriver(Driver):
    """A pool, the tasks that call it, and what is due.

    Attributes:
        current: the task that goes on.
    """

    current: _Task

    @property
    def pool(self) -> Any:
        return self._pool

    def let_go_on(self, task: _Task, *, late: bool | None = False) -> None:
        """Let `task` go on, perhaps in the midst of another one, which goes on thereafter."""
        before = getattr(self, "current", task)
        self.current = task
        task.go_on(late=late)
        self.current = before

    def _by_hand(self) -> AbstractContextManager[object]:
        driver = self

        class Pause:
            async def wait(self, seconds: float) -> None:
                driver.seen["paused"] += 1
                await driver._rest(seconds)

        stack = ExitStack()
        stack.enter_context(patch("balancer.shells.engine.spot", partial(_HandSpot, self)))
        stack.enter_context(patch("balancer.shells.driver.spot", Pause))
        return stack

    def _arrive(self, task: int, arrival: Arrival) -> None:
        self._ends["arrived"] += 1
        made = _Task(self._make(task, arrival))
        self._tasks.append(made)
        self.let_go_on(made, late=None)

    async def _make(self, task: int, arrival: Arrival) -> None:
        kind, granted = self._plan.kinds[arrival.kind], list[Lease]()

        async def fn(lease: Lease) -> None:
            granted.append(lease)
            for seconds in self._work(task, arrival.work_s, lease):
                await self._rest(seconds)
            if kind.used_tokens is not None:
                lease.used(tokens=kind.used_tokens)

        try:
            await self._pool.aio.call(
                fn,
                attempts=self._plan.attempts,
                labels=kind.labels,
                priority=kind.priority,
                slots=kind.slots,
                tokens=kind.tokens,
            )
        except BalancerError as error:
            self._gave_up(task, error, bool(granted))
        except PlanOver:
            pass
        else:
            self._ends["completed"] += 1
        finally:
            self.seen["retried"] += len(granted) > 1

    async def _rest(self, seconds: float) -> None:
        task = self.current
        self._after(seconds, partial(self.let_go_on, task))
        await _parked()
        if self._over:
            raise PlanOver

    def _let_everybody_go(self) -> None:
        self._over = True
        self._pool.close()  # which wakes those that wait
        for task in self._tasks:
            while not task.is_over:
                self.let_go_on(task)

    @property
    def _tasks(self) -> list[_Task]:
        made: list[_Task] = self.__dict__.setdefault("_begun", [])
        return made
