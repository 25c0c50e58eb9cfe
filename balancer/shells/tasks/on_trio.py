"""Waiting in trio: a task is taken off its run's schedule, and put back by the thread of that run.

Only tasks of trio import this module, so trio is installed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import trio
from trio.lowlevel import Abort, Task, current_task, current_trio_token, reschedule, wait_task_rescheduled

__all__ = ["spot", "task_group", "time_limit"]


class _Spot:
    __slots__ = ("_is_woken", "_task", "_token")

    def __init__(self) -> None:
        self._is_woken = False
        self._token = current_trio_token()
        self._task: Task | None = None

    async def wait(self, nap_s: float) -> None:
        if self._is_woken:
            return
        with trio.move_on_after(nap_s):
            self._task = current_task()
            await wait_task_rescheduled(self._leave)

    @property
    def is_over(self) -> bool:
        return not self._told_run(_nothing)

    def wake(self) -> bool:
        return self._told_run(self._open)

    def _told_run(self, act: Callable[[], None]) -> bool:
        try:
            self._token.run_sync_soon(act)
        except trio.RunFinishedError:
            return False
        return True

    def _open(self) -> None:
        self._is_woken = True
        task, self._task = self._task, None
        if task is not None:
            reschedule(task)

    def _leave(self, raise_cancel: Any) -> Abort:
        self._task = None
        return Abort.SUCCEEDED


def _nothing() -> None:
    pass


spot = _Spot


class _Crew:
    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start(self, work: Callable[[], Awaitable[object]]) -> None:
        self._nursery.start_soon(work)


@asynccontextmanager
async def task_group() -> AsyncIterator[_Crew]:
    """Return a task group of the current trio run."""
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield _Crew(nursery)
        except Exception as error:  # a nursery would raise it in an exception group
            failed = error
        finally:
            nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


class _Limit:
    def __init__(self, for_s: float) -> None:
        self._scope = trio.move_on_after(for_s)

    @property
    def is_over(self) -> bool:
        return self._scope.cancel_called

    async def __aenter__(self) -> Self:
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return bool(self._scope.__exit__(kind, error, traceback))


time_limit = _Limit
