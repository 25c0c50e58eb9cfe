"""The interface to an event loop: where a task waits, and which library runs it.

Decides what is asked of a library of event loops, and which one that is. It must not know what is waited for.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Spot", "TaskGroup", "TimeLimit", "Told", "spot", "task_group", "time_limit"]

Told = Callable[[Any, None], object]


class Spot(ABC):
    """A place where one task waits, until it is woken or some seconds have passed.

    Args:
        told: called with this place by whoever wakes it, once the task is sure to hear of it.
        lost: called by whoever wakes it if nobody comes back from here any more.

    Attributes:
        deserted: set where the task has gone without a word, e.g. because it was collected.
    """

    __slots__ = ("_is_woken", "_lost", "_told", "deserted")

    def __init__(self, told: Told, lost: "Callable[[], object]") -> None:
        self._told = told
        self._lost = lost
        self._is_woken = False
        self.deserted = False

    def wake(self) -> None:
        """Let the task go on, from any thread; once is enough, and to do it again is no harm."""
        if self.deserted or not self._reached():
            self._lost()
        else:
            self._told(self, None)

    @abstractmethod
    async def wait(self, nap_s: float) -> None:
        """Wait, in the task, until it is woken or so many seconds have passed (`inf`: any number)."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True if nobody will ever come back from here: the task or its event loop has gone."""

    @abstractmethod
    def _reached(self) -> bool:
        """See to it that the task goes on. Return False if its loop runs no more."""


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
