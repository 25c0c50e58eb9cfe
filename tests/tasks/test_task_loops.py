"""What becomes of a task's slot when its event loop is closed or stopped, its process forked, or it is collected."""

import asyncio
import gc
import selectors
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from balancer import Endpoint, Lease, Pool
from tests.patience import PATIENCE_S
from tests.tasks.libraries import in_flight
from tests.threads.crew import assert_nothing_lost, until
from tests.threads.interrupts import points

_BY_REFERENCES = pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="nothing is found without counts")


@pytest.fixture
def loop():
    """A loop that a test runs, stops and closes by itself."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def _run_a_little(loop: asyncio.AbstractEventLoop, turns: int = 3) -> None:
    async def turn() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    loop.run_until_complete(turn())


async def _takes(pool: Pool, got: list[Lease], **asked: Any) -> None:
    async with pool.aio.lease(**asked) as lease:
        got.append(lease)
        await asyncio.sleep(3600)


def _forget_in_silence(act: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Task was destroyed but it is pending", "unclosed event loop"
        act()
        gc.collect()


# -- loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [1, 3000])
def test_a_grant_to_tasks_whose_loop_is_closed_goes_to_the_next(waiting, loop):
    """To thousands at once, too: each would be granted what the one before it has not come for."""
    pool, got = Pool(["a"]), list[Lease]()
    held = pool.acquire()
    tasks = [loop.create_task(_takes(pool, got)) for _ in range(waiting)]
    _run_a_little(loop)
    assert pool.stats().waiting == waiting
    alive: list[str] = []
    thread = threading.Thread(target=lambda: alive.append(pool.acquire(timeout=PATIENCE_S).endpoint.name))
    thread.start()
    until(lambda: pool.stats().waiting == waiting + 1)
    loop.close()
    held.release()
    thread.join(PATIENCE_S)
    assert (alive, got) == (["a"], [])
    assert pool.stats().waiting == 0
    assert not pool.engine.waits.places
    for task in tasks:  # else each is reported as destroyed while it was pending
        task._log_destroy_pending = False


@pytest.mark.more
@_BY_REFERENCES
def test_a_slot_granted_to_a_stopped_loop_that_nobody_has_any_more_comes_back():
    pool, got = Pool(["a"]), list[Lease]()

    def scene() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_takes(pool, got))
        held = pool.acquire()
        _run_a_little(loop)
        assert pool.stats().waiting == 1
        held.release()  # it is granted, and its loop is never run again
        assert not task.done()

    _forget_in_silence(scene)
    assert in_flight(pool) == 0
    assert got == []


# -- who has a lease -------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@_BY_REFERENCES
@pytest.mark.parametrize("way", ["lease", "acquire", "call"])
def test_the_lease_of_a_task_that_was_dropped_comes_back(way):
    pool, got = Pool(["a"]), list[int]()

    async def fn(lease: Lease) -> None:
        got.append(lease.id)
        await asyncio.sleep(3600)

    async def block() -> None:
        async with pool.aio.lease() as lease:
            await fn(lease)

    async def acquire() -> None:
        await fn(await pool.aio.acquire())

    made = {"lease": block, "acquire": acquire, "call": lambda: pool.aio.call(fn)}

    def scene() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(made[way]())
        _run_a_little(loop)
        assert not task.done()

    _forget_in_silence(scene)
    assert got == [1]
    with pool.lease(timeout=PATIENCE_S):  # a lease of acquire is let be for a second
        pass
    assert_nothing_lost(pool, 1)


def test_a_task_that_is_collected_outside_of_a_call_gives_up_its_place_at_once(loop):
    pool = Pool(["a"])
    held = pool.acquire()
    asyncio.events._set_running_loop(loop)
    work = _takes(pool, [])
    work.send(None)
    asyncio.events._set_running_loop(None)
    assert pool.engine.core.waiting == 1
    work.close()
    assert pool.engine.core.waiting == 0
    assert not pool.engine.waits.places
    held.release()
    assert_nothing_lost(pool, 1)


class _Selector(selectors.DefaultSelector):
    """Calls `finaliser` once a loop has computed how long it sleeps, and notes whether that wakes the loop."""

    finaliser: Callable[[], object] | None = None
    is_woken = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout != 0 and self.finaliser is not None:
            act, self.finaliser = self.finaliser, None
            act()
            self.is_woken = bool(super().select(0))
            timeout = 0  # a loop that is not woken would sleep
        return super().select(timeout)


def test_a_slot_that_comes_back_as_the_loop_goes_to_sleep_wakes_it():
    selector = _Selector()
    loop = asyncio.SelectorEventLoop(selector)
    pool = Pool(["a"])
    held = pool.acquire()

    async def name() -> str:
        async with pool.aio.lease() as lease:
            return lease.endpoint.name

    task = loop.create_task(name())
    _run_a_little(loop)
    assert pool.engine.core.waiting == 1
    selector.finaliser = held.release
    assert loop.run_until_complete(task) == "a"
    assert selector.is_woken
    loop.close()


@pytest.mark.parametrize("state", ["waits", "was granted it", "is in its block", "is in its call"])
def test_a_task_that_is_collected_in_the_midst_of_a_call_of_the_core_does_not_call_it(state):
    """As the garbage collector may do it, at any point of a release: its books are not touched before that is done."""
    for interrupt in points("balancer/core/", "balancer/pool/pool.py", least=20):
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy="fifo")
        first, other = pool.acquire(), pool.acquire()
        loop = asyncio.new_event_loop()
        asyncio.events._set_running_loop(loop)
        calls = state == "is in its call"
        work = pool.aio.call(_hangs, exclude={"b"}) if calls else _takes(pool, [], exclude={"b"})
        if state.startswith("is in"):
            first.release()
        with suppress(StopIteration):
            work.send(None)
        if state == "was granted it":
            first.release()
        asyncio.events._set_running_loop(None)
        act = other.release if first.ended else first.release
        where = interrupt(act, work.close)
        work.close()
        loop.close()
        for lease in (first, other):
            if not lease.ended:
                lease.release()
        if pool.engine.core.waiting:  # it is told by who wakes it
            pool.acquire(0).release()
        assert not pool.engine.waits.places, where
        pool.add(Endpoint("c"))
        stats = pool.stats()
        assert [each.in_flight for each in stats.endpoints] == [0, 0, 0], f"{state}, collected at {where}: {pool!r}"
        assert stats.waiting == 0, f"{state}, collected at {where}"
        assert_nothing_lost(pool, 3)


async def _hangs(lease: Lease) -> None:
    await asyncio.sleep(3600)
