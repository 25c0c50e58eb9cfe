"""An interrupt at any point of what the pool does for a task costs no slot and leaves nobody asleep, as with threads.

The library's own callbacks are not interrupted: asyncio swallows what rises there, and says so.
"""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, Lease, LeaseError, Pool
from balancer.settings.rules import HealthSettings, RetrySettings
from tests.patience import PATIENCE_S
from tests.threads.crew import assert_nothing_lost, until
from tests.threads.interrupts import LEASING, Interrupted, points

_OF_A_CALL = (
    *LEASING,
    "balancer/shells/calls.py",
    "balancer/shells/driver.py",
    # Not how a task waits: asyncio swallows what its callbacks raise, unless it is a KeyboardInterrupt.
    *(f"balancer/shells/{name}.py" for name in ("hedging", "tasks/driver", "tasks/parking")),
)
_RULES = pytest.mark.parametrize(
    "health",
    [pytest.param(None, id="plain", marks=pytest.mark.more), pytest.param(HealthSettings(), id="ruled")],
)

# The point between a coroutine's making and its first step: CPython does not look for signals there.
pytestmark = pytest.mark.filterwarnings("ignore:.*was never awaited", "ignore:.*coroutine.*")

Scene = Callable[[], Coroutine[Any, Any, object]]
Prepared = tuple[Scene, Callable[[str], object]]  # what is interrupted, and what must hold thereafter


@pytest.fixture(autouse=True)
def loop():
    """One loop for all points: to make one takes longer than what is tried."""
    logging.getLogger("asyncio").disabled = True
    gc.freeze()  # so that what an error's traceback keeps can be collected at each point, and quickly
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()
    gc.unfreeze()
    logging.getLogger("asyncio").disabled = False


def _at_each_point(
    loop: asyncio.AbstractEventLoop, files: tuple[str, ...], prepare: Callable[[], Prepared], least: int
) -> None:
    """Interrupt what `prepare` returns at each of its points in turn, and check after each."""
    for interrupt in points(*files, least=least):
        scene, check = prepare()
        tasks: list[asyncio.Task[object]] = []

        def act(scene: Scene = scene, tasks: list[asyncio.Task[object]] = tasks) -> None:
            tasks.append(loop.create_task(scene()))
            loop.run_until_complete(tasks[0])

        where = interrupt(act)
        if tasks and not tasks[0].done():
            tasks[0].cancel()
            with suppress(BaseException):
                loop.run_until_complete(tasks[0])
        tasks.clear()
        gc.collect()
        check(f"interrupted at {where}")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["least_in_flight", "fifo", "weighted_health"])
def test_an_interrupt_at_any_point_of_blocks_costs_no_slot(name, loop):
    def prepare() -> Prepared:
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy=name, seed=1)

        async def scene() -> None:
            for _ in range(2):
                async with pool.aio.lease(timeout=0):
                    pass

        def check(where: str) -> None:
            assert [each.in_flight for each in pool.stats().endpoints] == [0, 0], where
            leases = [pool.acquire(timeout=0) for _ in range(2)]
            assert sorted(lease.endpoint.name for lease in leases) == ["a", "b"], where

        return scene, check

    _at_each_point(loop, LEASING, prepare, least=30)


def test_an_interrupt_at_any_point_of_a_wait_leaves_nobody_in_the_queue(loop):
    def prepare() -> Prepared:
        pool = Pool([Endpoint("a")], strategy="fifo")
        lease = pool.acquire()

        async def scene() -> None:
            with suppress(AcquireTimeout):
                await pool.aio.acquire(timeout=0.001)

        def check(where: str) -> None:
            assert (pool.stats().waiting, len(pool.engine.waits.places)) == (0, 0), where
            lease.release()
            assert_nothing_lost(pool, 1)

        return scene, check

    _at_each_point(loop, LEASING, prepare, least=20)


@pytest.mark.more
@_RULES
def test_an_interrupt_at_any_point_of_a_release_leaves_no_task_asleep(health, loop):
    """The task that waits is woken: by that call, by the next one, or by closing at the latest."""

    def prepare() -> Prepared:
        pool = Pool([Endpoint("a"), Endpoint("b")], seed=1, health=health, host_caps={"*": 2} if health else None)
        first, second = pool.acquire(), pool.acquire()

        async def waits() -> None:
            with suppress(Exception):
                async with pool.aio.lease():
                    pass

        waiting = loop.create_task(waits())
        loop.run_until_complete(asyncio.sleep(0))

        async def scene() -> None:
            first.release()

        def check(where: str) -> None:
            with suppress(LeaseError):
                second.release()
            pool.close()
            with suppress(Interrupted):  # it may have been the task that waits
                loop.run_until_complete(asyncio.wait_for(waiting, 60))
            assert waiting.done(), where

        return scene, check

    _at_each_point(loop, LEASING, prepare, least=10)


@pytest.mark.more
@_RULES
def test_an_interrupt_at_any_point_of_a_call_whose_retry_waits_loses_no_slot(health, loop, monkeypatch):
    """The first attempt fails at a; the retry waits for b, which is busy, looks again, and is served."""
    monkeypatch.setattr("balancer.core.attempt_plan._FIRST_LOOK_S", 0.0005)

    def prepare() -> Prepared:
        pool = Pool(["a", "b"], strategy="first", retries=RetrySettings(base_s=0.0), health=health)
        busy = pool.acquire(exclude={"a"})
        went: list[str] = []

        def give_back() -> None:
            try:
                busy.release()
            except Interrupted:  # asyncio swallows what a callback raises: nobody else would do it
                with suppress(LeaseError):
                    busy.release()

        async def fn(lease: Lease) -> None:
            went.append(lease.endpoint.name)
            if len(went) == 1:
                loop.call_later(0.001, give_back)
                raise EndpointError("down")

        def check(where: str) -> None:
            with suppress(LeaseError):
                busy.release()
            assert pool.engine.budget._lock.acquire(timeout=PATIENCE_S), f"{where}: the budget is locked"
            assert pool.stats().waiting == 0, where
            until(lambda: not any(each.in_flight for each in pool.stats().endpoints), within_s=PATIENCE_S)

        return lambda: pool.aio.call(fn), check

    _at_each_point(loop, _OF_A_CALL, prepare, least=200)
    assert threading.active_count() < 1000
