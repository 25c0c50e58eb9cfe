"""Ctrl-C and its like: an interrupted thread or task keeps no lease, and nobody is left with a locked pool or asleep.

The scenes are the same for threads and tasks. Each is interrupted at each of its points in turn.
"""

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from balancer import AcquireTimeout, Endpoint, HolderSettings, Lease, LeaseError, Pool
from balancer.settings.rules import HealthSettings
from tests.patience import PATIENCE_S
from tests.registered import NAMES, few_first
from tests.threads.crew import assert_nothing_lost, in_background, in_time, until
from tests.threads.interrupts import LEASING, Interrupted, points
from tests.threads.waiter import WaitingThread

# The point between a coroutine's making and its first step: CPython does not look for signals there.
pytestmark = pytest.mark.filterwarnings("ignore:.*was never awaited", "ignore:.*coroutine.*")


class _Threads:
    def blocks(self, pool: Pool) -> None:
        for _ in range(3):
            with pool.lease(timeout=0):
                pass

    def wait(self, pool: Pool) -> None:
        with suppress(AcquireTimeout):
            pool.acquire(timeout=0.001)

    def call(self, pool: Pool, fn: Callable[[Lease], object]) -> None:
        pool.call(fn)

    def waits(self, pool: Pool) -> Callable[[], bool]:
        """Let another one wait. Return what says whether it has ended."""
        waiter = WaitingThread(pool, None)

        def ended() -> bool:
            waiter.join(PATIENCE_S)
            return not waiter.is_alive()

        return ended

    def settle(self) -> None:
        """End what the interrupt has left."""


class _Tasks:
    """In one loop for all points: to make one takes longer than what is tried."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: list[asyncio.Task[object]] = []

    def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self._tasks.append(self._loop.create_task(coroutine))
        self._loop.run_until_complete(self._tasks[-1])

    def blocks(self, pool: Pool) -> None:
        async def scene() -> None:
            for _ in range(2):
                async with pool.aio.lease(timeout=0):
                    pass

        self._run(scene())

    def wait(self, pool: Pool) -> None:
        async def scene() -> None:
            with suppress(AcquireTimeout):
                await pool.aio.acquire(timeout=0.001)

        self._run(scene())

    def call(self, pool: Pool, fn: Callable[[Lease], object]) -> None:
        async def later(lease: Lease) -> object:
            return fn(lease)

        self._run(pool.aio.call(later))

    def waits(self, pool: Pool) -> Callable[[], bool]:
        async def scene() -> None:
            with suppress(Exception):
                async with pool.aio.lease():
                    pass

        waiting = self._loop.create_task(scene())
        self._loop.run_until_complete(asyncio.sleep(0))

        def ended() -> bool:
            with suppress(Interrupted):  # it may have been the task that waits
                self._loop.run_until_complete(asyncio.wait_for(waiting, PATIENCE_S))
            return waiting.done()

        return ended

    def settle(self) -> None:
        self._end()
        gc.collect()  # no variable may refer to a task now, as its error has a traceback

    def _end(self) -> None:
        for task in self._tasks:
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    self._loop.run_until_complete(task)
        self._tasks.clear()


@pytest.fixture(params=["threads", "tasks"])
def face(request):
    if request.param == "threads":
        yield _Threads()
        return
    logging.getLogger("asyncio").disabled = True
    gc.freeze()  # so that what an error's traceback keeps can be collected at each point, and quickly
    loop = asyncio.new_event_loop()
    yield _Tasks(loop)
    loop.close()
    gc.unfreeze()
    logging.getLogger("asyncio").disabled = False


# -- at each point ---------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_an_interrupt_at_any_point_of_blocks_costs_no_slot(name, face):
    """Neither by the pool's figures, nor by the books of the strategy."""
    for interrupt in points(*LEASING, least=30):
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy=name, seed=1)
        where = interrupt(lambda pool=pool: face.blocks(pool))
        face.settle()
        assert [e.in_flight for e in pool.stats().endpoints] == [0, 0], f"interrupted at {where}"
        pool.add(Endpoint("c", capacity=2))
        leases = [pool.acquire(timeout=0) for _ in range(4)]
        assert sorted(lease.endpoint.name for lease in leases) == ["a", "b", "c", "c"], f"interrupted at {where}"


def test_an_interrupt_at_any_point_of_a_wait_leaves_nobody_in_the_queue(face):
    """Else the next slot would go to a caller that is gone; or a group of nobody would stop every later hand-off."""
    for interrupt in points(*LEASING, least=20):
        pool = Pool([Endpoint("a")], strategy="fifo")
        lease = pool.acquire()
        where = interrupt(lambda pool=pool: face.wait(pool))
        face.settle()
        in_time(pool.stats, where)
        assert (pool.stats().waiting, len(pool.engine.waits.places)) == (0, 0), f"interrupted at {where}"
        other, _ = in_background(lambda pool=pool: pool.acquire(PATIENCE_S, priority=1).release())
        until(lambda pool=pool: pool.stats().waiting == 1)
        lease.release()
        other.join(PATIENCE_S)
        assert_nothing_lost(pool, 1)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])
@pytest.mark.parametrize("what", ["release", "close"])
def test_an_interrupt_at_any_point_of_what_ends_a_wait_leaves_nobody_asleep(what, health, face):
    """Whoever waits is woken: by that call, by the next one, or by closing at the latest."""
    for interrupt in points(*LEASING, least=10):
        pool = Pool([Endpoint("a"), Endpoint("b")], seed=1, health=health, host_caps={"*": 2} if health else None)
        first, second = pool.acquire(), pool.acquire()
        has_ended = face.waits(pool)
        where = interrupt(first.release if what == "release" else pool.close)
        with suppress(LeaseError):
            second.release()
        pool.close()
        assert has_ended(), f"interrupted at {where}"


@pytest.mark.more
def test_an_interrupt_at_any_point_leaves_the_counts_of_holders_right():
    """Else a holder with as many leases as it may have would never get another one."""
    threads = _Threads()
    for interrupt in points(*LEASING, least=30):
        bounded = {"*": HolderSettings(max_leases=1)}
        pool = Pool([Endpoint("a", capacity=2)], strategy="fifo", fairness="holder", holders=bounded)

        def act(pool: Pool = pool) -> None:
            with pool.lease(timeout=0):
                threads.wait(pool)

        where = interrupt(act)
        counts = {(each.in_flight, each.waiting) for each in pool.stats().holders}
        assert counts <= {(0, 0)}, f"interrupted at {where}"
        pool.acquire(0).release()


# -- by the system ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_in_a_thread_that_is_just_served_gives_the_lease_back(name, caplog):
    pool = Pool([Endpoint("a")], strategy=name)
    lease = pool.acquire()
    waiter = WaitingThread(pool, None)
    waiter.interrupt()
    lease.release()  # the slot is handed to it, and then it wakes to its interruption
    waiter.join(PATIENCE_S)
    assert isinstance(waiter.ended_with, Interrupted)
    assert pool.stats().acquired == 2
    assert_nothing_lost(pool, 1)
    assert not caplog.messages, "it was given back, not found as a lease that nobody has any more"


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread only"
)
def test_a_signal_ends_a_wait_at_once():
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    pool = Pool([Endpoint("a")])
    lease = pool.acquire()
    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    started_s = time.monotonic()
    with pytest.raises(Interrupted):
        pool.acquire(timeout=PATIENCE_S)
    assert time.monotonic() - started_s < PATIENCE_S / 10
    signal.signal(signal.SIGUSR1, before)
    lease.release()
    assert_nothing_lost(pool, 1)
