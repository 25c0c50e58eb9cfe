"""A pool of threads in the hands of coroutines: one clear line, no slot lost, no coroutine that was never awaited."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import AsyncMock

import pytest

from balancer import Lease, Pool, WaitInCoroutine


def _pool(capacity: int = 1) -> Pool:
    pool = Pool(["http://a/"], strategy="fifo")
    pool.update("http://a/", capacity=capacity)
    return pool


def _refused(error: type[BaseException], trap: Callable[[], Any], pool: Pool) -> str:
    """Return the line that `trap` raises. No slot of `pool` is lost, and nothing is said against the endpoint."""
    with pytest.raises(error) as caught:
        trap()
    (endpoint,) = pool.stats().endpoints
    assert (endpoint.in_flight, endpoint.failures, pool.stats().waiting) == (0, 0, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- async with, await -----------------------------------------------------------------------------


async def _async_with(pool: Pool) -> None:
    async with pool.lease():
        raise AssertionError("it was let in")


async def _await(pool: Pool) -> None:
    await pool.lease()


@pytest.mark.parametrize("trap", [_async_with, _await])
def test_a_lease_of_threads_is_no_lease_of_tasks(trap):
    pool = _pool()
    assert "write async with pool.aio.lease()" in _refused(TypeError, lambda: asyncio.run(trap(pool)), pool)


# -- pool.call -------------------------------------------------------------------------------------


async def _later(lease: Lease) -> int:
    raise AssertionError("it was begun")


async def _stream(lease: Lease) -> AsyncIterator[int]:
    yield 1


def _lines(lease: Lease) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("hedge_after_s", [None, 5.0])
@pytest.mark.parametrize("fn", [_later, _stream, _lines, partial(_later), AsyncMock()])
def test_call_with_a_function_that_works_later(fn, hedge_after_s):
    pool = _pool()
    # A coroutine that is dropped without being closed is a warning, and warnings are errors here.
    line = _refused(TypeError, lambda: pool.call(fn, hedge_after_s=hedge_after_s), pool)
    assert line.startswith("fn returned a")
    assert "do the work in fn, while it has the lease" in line
    assert pool.stats().acquired == 1  # it was not tried again


def test_call_with_a_function_that_returns_a_task():
    pool = _pool()
    tasks = []

    def begins(lease: Lease) -> object:
        tasks.append(asyncio.ensure_future(asyncio.sleep(3600)))
        return tasks[0]

    async def trap() -> None:
        try:
            pool.call(begins)
        finally:
            await asyncio.sleep(0)
            assert tasks[0].cancelled()

    assert "returned a Task" in _refused(TypeError, lambda: asyncio.run(trap()), pool)


# -- a lease in a coroutine ------------------------------------------------------------------------


def test_a_lease_in_a_coroutine_that_would_have_to_wait():
    pool = _pool()

    async def trap() -> None:
        with pool.lease(), pool.lease(timeout=3600):
            raise AssertionError("there is one slot")

    line = _refused(WaitInCoroutine, lambda: asyncio.run(trap()), pool)
    assert "would stop the event loop" in line
    assert "async with pool.aio.lease()" in line


def test_a_lease_in_a_coroutine_that_need_not_wait_is_granted():
    """It stops nobody: so a coroutine may ask with timeout=0, or take what is free."""
    pool = _pool(capacity=2)

    async def takes_two() -> int:
        with pool.lease() as first, pool.lease(timeout=0) as second:
            await asyncio.sleep(0)
            return first.id + second.id

    assert asyncio.run(takes_two()) == 3


def test_a_cell_of_a_notebook_may_wait():
    """A kernel runs cells in a coroutine. Threads give the slots back meanwhile, so the wait ends."""
    pool = _pool()

    async def kernel(cell: str) -> dict[str, Any]:
        names: dict[str, Any] = {"pool": pool, "threading": threading}
        exec(compile(cell, "<cell>", "exec"), names)
        return names

    cell = "lease = pool.acquire()\nthreading.Timer(0.05, lease.release).start()\nsecond = pool.acquire(60)"
    names = asyncio.run(kernel(cell))
    assert names["second"].id == 2
