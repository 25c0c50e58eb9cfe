"""Waiting in asyncio: a future, which the waker makes its event loop resolve.

In a task of the same loop that is done directly, from elsewhere through the loop's self-pipe.
"""

import asyncio
import math
from asyncio import CancelledError, Future, Task
from asyncio.events import _get_running_loop  # as `get_running_loop`, but does not raise: every thread calls it
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["spot", "task_group", "time_limit"]

_current_task = asyncio.current_task


class _Spot:
    __slots__ = ("_future", "_is_woken", "_loop")

    def __init__(self) -> None:
        self._is_woken = False
        self._loop = asyncio.get_running_loop()
        self._future: Future[None] | None = None

    async def wait(self, nap_s: float) -> None:
        future = self._future = self._loop.create_future()
        if self._is_woken:
            return
        if nap_s == math.inf:
            await future
            return
        handle = self._loop.call_later(nap_s, _resolve, future)
        try:
            await future
        finally:
            handle.cancel()

    @property
    def is_over(self) -> bool:
        return self._loop.is_closed()

    def wake(self) -> bool:
        loop = self._loop
        # Inside a task's step the loop is not asleep. Outside of one, e.g. in a finaliser while the loop computes its
        # sleep, the loop may miss a direct call.
        if _get_running_loop() is loop and _current_task(loop) is not None:
            self._open()
            return True
        try:
            loop.call_soon_threadsafe(self._open)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _open(self) -> None:
        self._is_woken = True
        if self._future is not None:
            _resolve(self._future)


def _resolve(future: "Future[None]") -> None:
    if not future.done():
        future.set_result(None)


spot = _Spot


class _Crew:
    def __init__(self) -> None:
        self._tasks: list[Task[None]] = []

    def start(self, work: Callable[[], Awaitable[object]]) -> None:
        async def run() -> None:
            await work()

        self._tasks.append(asyncio.create_task(run()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        cancelled: CancelledError | None = None
        if kind is GeneratorExit:  # the parent is collected and cannot wait; perhaps its loop is closed
            with suppress(RuntimeError):
                for task in self._tasks:
                    task.cancel()
            return
        for task in self._tasks:
            task.cancel()
        while left := [task for task in self._tasks if not task.done()]:
            try:
                await asyncio.wait(left)
            except CancelledError as again:  # a second cancellation does not help the tasks, but the caller must get it
                cancelled = again
        for task in self._tasks:
            if not task.cancelled():
                task.exception()  # marks the exception as seen
        if cancelled is not None:
            raise cancelled


def task_group() -> _Crew:
    """Return a task group of the running loop."""
    return _Crew()


class _Limit:
    def __init__(self, for_s: float) -> None:
        self._timeout = asyncio.timeout(for_s)

    @property
    def is_over(self) -> bool:
        return self._timeout.expired()

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:  # made from the cancellation, and there was no other one
            return True
        return False


time_limit = _Limit
