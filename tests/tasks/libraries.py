"""Threads, asyncio and trio with one set of words, so that a test is written once, and run with each."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import partial
from types import coroutine
from typing import Any, Protocol, TypeVar

import pytest
import trio

from balancer import Lease, Pool
from tests.patience import PATIENCE_S

T = TypeVar("T")


class Started(Protocol):
    """A task that was started in a block."""

    def cancel(self) -> object:
        """Cancel it."""
        ...


class Library(Protocol):
    """What a test does with each library."""

    @staticmethod
    def face(pool: Pool) -> Any:
        """Return the methods of a pool that its callers await."""
        ...

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


def _driven(work: Awaitable[T]) -> T:
    """Run a coroutine in this thread. What it awaits blocks the thread, outside of any coroutine, as a pool demands."""
    steps = work.__await__()
    go_on: Callable[[], Callable[[], object]] = partial(steps.send, None)
    try:
        while True:
            blocks = go_on()
            try:
                go_on = partial(steps.send, blocks())
            except BaseException as error:
                go_on = partial(steps.throw, error)
    except StopIteration as end:
        returned: T = end.value
        return returned


@coroutine
def _blocking(act: Callable[[], T]) -> Generator[Callable[[], T], T, T]:
    return (yield act)


class _ThreadFace:
    """A pool, as if it were one for tasks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def acquire(self, *given: Any, **asked: Any) -> Lease:
        return await _blocking(lambda: self._pool.acquire(*given, **asked))

    @asynccontextmanager
    async def lease(self, *given: Any, **asked: Any) -> AsyncIterator[Lease]:
        with await _blocking(lambda: self._pool.lease(*given, **asked)) as lease:
            yield lease

    async def call(self, fn: Callable[[Lease], Awaitable[T]], **asked: Any) -> T:
        return await _blocking(lambda: self._pool.call(lambda lease: _driven(fn(lease)), **asked))

    async def forget(self) -> None:
        """Lease, and have the lease no more."""
        await _blocking(lambda: [self._pool.lease(5.0)].clear())


class Threads:
    face = _ThreadFace

    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return _driven(main())

    @staticmethod
    async def sleep(seconds: float) -> None:
        time.sleep(seconds)

    @staticmethod
    @asynccontextmanager
    async def tasks() -> AsyncIterator[Callable[[Callable[[], Awaitable[object]]], None]]:
        begun: list[threading.Thread] = []

        def start(work: Callable[[], Awaitable[object]]) -> None:
            begun.append(threading.Thread(target=lambda: _driven(work()), daemon=True))
            begun[-1].start()

        yield start
        for thread in begun:
            thread.join(PATIENCE_S)


class _Asyncio:
    @staticmethod
    def face(pool: Pool) -> Any:
        return pool.aio

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
    face = _Asyncio.face

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
EACH = pytest.mark.parametrize("library", [Threads, _Asyncio, _Trio], ids=["threads", "asyncio", "trio"])


async def task_until(library: type[Library], condition: Callable[[], bool]) -> None:
    """Let other tasks go on until it is so."""
    while not condition():
        await library.sleep(0.001)


def in_flight(pool: Pool) -> int:
    """Return how many slots are out."""
    return sum(endpoint.in_flight for endpoint in pool.stats().endpoints)
