"""The interface to an event loop: tasks and time limits of the library that runs the task.

Decides what is asked of a library of event loops, and which one that is. It must not know what is waited for.
"""

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from balancer.shells.waiting import Spot, Told

__all__ = ["TaskGroup", "TimeLimit", "spot", "task_group", "time_limit"]


class TaskGroup(Protocol):
    """Tasks that are begun in a block, and have all ended when it has: at its end those that run are cancelled."""

    def start(self, work: Callable[[], Awaitable[object]]) -> None:
        """Begin a task."""
        ...


class TimeLimit(Protocol):
    """A block that is cancelled when its time is over; that ends the block, and nothing is raised for it.

    One that nevertheless returns or raises something of its own does so.
    """

    @property
    def is_over(self) -> bool:
        """True once its time is over, also within the block: what is raised there then is the cancellation."""
        ...


def _library() -> Any:
    """Return the module that knows the library of the task that asks.

    Trio says that it runs this by way of sniffio, which it brings. Of what says nothing asyncio knows.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and sniffio.thread_local.name == "trio":
        from balancer.shells.tasks import on_trio

        return on_trio
    from balancer.shells.tasks import on_asyncio

    return on_asyncio


def _nothing(*_: object) -> None:
    pass


def spot(told: Told = _nothing, lost: Callable[[], object] = _nothing) -> Spot:
    """Return a place where the task that asks can wait.

    Raises:
        RuntimeError: no event loop runs, neither asyncio's nor trio's.
    """
    made: Spot = _library().spot(told, lost)
    return made


def task_group() -> AbstractAsyncContextManager[TaskGroup]:
    """Return a task group of the library of the task that asks."""
    made: AbstractAsyncContextManager[TaskGroup] = _library().task_group()
    return made


def time_limit(for_s: float) -> AbstractAsyncContextManager[TimeLimit]:
    """Return a block that lasts so many seconds at most, for the task that asks."""
    made: AbstractAsyncContextManager[TimeLimit] = _library().time_limit(for_s)
    return made
