"""The interface to the async libraries: tasks and time limits, for asyncio and trio."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Spot", "TaskGroup", "TimeLimit", "spot", "task_group", "time_limit"]


class Spot(Protocol):
    """Where one caller waits: here a task, elsewhere a thread."""

    def wait(self, nap_s: float, /) -> Any:
        """Wait until it is woken or `nap_s` seconds have passed (inf: no limit). A task awaits what this returns."""
        ...

    def wake(self) -> bool:
        """Let the caller go on. Any thread may call this, also twice. Return False if the caller never comes back."""
        ...

    @property
    def is_over(self) -> bool:
        """True if the caller never comes back: its event loop has gone."""
        ...


class TaskGroup(Protocol):
    """Tasks that run within a block. At its end, those that still run are cancelled, and all have ended."""

    def start(self, work: Callable[[], Awaitable[object]]) -> None: ...


class TimeLimit(Protocol):
    """A block that is cancelled when its time is over. That ends the block without an exception.

    If the block then returns or raises something else, that counts.
    """

    @property
    def is_over(self) -> bool:
        """True once its time is over. Within the block, a BaseException is then the cancellation."""
        ...


def _library() -> Any:
    """Return the module for the async library of the current task.

    Trio announces itself through sniffio, which it depends on. Without an announcement it is asyncio.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and sniffio.thread_local.name == "trio":
        from balancer.shells.tasks import on_trio

        return on_trio
    from balancer.shells.tasks import on_asyncio

    return on_asyncio


def spot() -> Spot:
    """Return a place where the current task can wait.

    Raises:
        RuntimeError: no event loop of asyncio or trio runs.
    """
    made: Spot = _library().spot()
    return made


def task_group() -> AbstractAsyncContextManager[TaskGroup]:
    """Return a task group of the current task's library."""
    made: AbstractAsyncContextManager[TaskGroup] = _library().task_group()
    return made


def time_limit(for_s: float) -> AbstractAsyncContextManager[TimeLimit]:
    """Return a block for the current task that lasts at most `for_s` seconds."""
    made: AbstractAsyncContextManager[TimeLimit] = _library().time_limit(for_s)
    return made
