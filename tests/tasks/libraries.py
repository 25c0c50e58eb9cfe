"""The two libraries that run tasks, with one set of words, so that a test can be run with either."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import pytest
import trio

from balancer import Pool
from tests.patience import PATIENCE_S

__all__ = ["BOTH", "Library", "task_until"]

T = TypeVar("T")


class Started(Protocol):
    """A task that was started in a block."""

    def cancel(self) -> object:
        """Cancel it."""
        ...


class Library(Protocol):
    """What a test does with either library."""

    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `main` to its end, in a loop of its own."""
        ...

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Let other tasks go on."""
        ...

    @staticmethod
    def tasks() -> Any:
        """Return a block whose tasks, begun by `start`, have ended when it ends."""
        ...


class _Asyncio:
    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run(asyncio.wait_for(main(), PATIENCE_S))

    sleep = staticmethod(asyncio.sleep)

    @staticmethod
    @asynccontextmanager
    async def tasks() -> AsyncIterator[Callable[[Callable[[], Awaitable[object]]], Started]]:
        begun: list[asyncio.Task[object]] = []

        def start(work: Callable[[], Awaitable[object]]) -> Started:
            async def run() -> object:
                return await work()

            begun.append(asyncio.create_task(run()))
            return begun[-1]

        yield start
        for end in await asyncio.gather(*begun, return_exceptions=True):
            if isinstance(end, Exception):
                raise end


class _Trio:
    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def in_time() -> T:
            with trio.fail_after(PATIENCE_S):
                return await main()

        return trio.run(in_time)

    sleep = staticmethod(trio.sleep)

    @staticmethod
    @asynccontextmanager
    async def tasks() -> AsyncIterator[Callable[[Callable[[], Awaitable[object]]], Started]]:
        async with trio.open_nursery() as nursery:

            def start(work: Callable[[], Awaitable[object]]) -> Started:
                scope = trio.CancelScope()

                async def run() -> None:
                    with scope:
                        await work()

                nursery.start_soon(run)
                return scope

            yield start


BOTH = pytest.mark.parametrize("library", [_Asyncio, _Trio], ids=["asyncio", "trio"])


async def task_until(library: type[Library], condition: Callable[[], bool]) -> None:
    """Let other tasks go on until it is so."""
    while not condition():
        await library.sleep(0.001)


def in_flight(pool: Pool) -> int:
    """Return how many slots are out."""
    return sum(endpoint.in_flight for endpoint in pool.stats().endpoints)
