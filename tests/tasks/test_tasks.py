"""Tasks, of asyncio and of trio, and threads share the slots of one pool, and one queue."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from balancer import (
    AcquireTimeout,
    AsyncPool,
    Endpoint,
    LeaseError,
    Pool,
    PoolClosed,
)
from tests.patience import PATIENCE_S
from tests.tasks.libraries import BOTH, task_until
from tests.threads.crew import assert_nothing_lost

# -- a lease ---------------------------------------------------------------------------------------


@BOTH
async def test_a_block_takes_an_endpoint_and_gives_it_back(library):
    pool = Pool(["a", Endpoint("b", labels=frozenset("x"))], strategy="first")

    async with pool.aio.lease(labels={"x"}, holder="mine", slots=1, priority=2) as lease:
        assert (lease.endpoint.name, lease.holder, lease.priority) == ("b", "mine", 2)
        assert [row.holder for row in pool.leases()] == ["mine"]
        async with pool.aio.lease(0) as other:
            assert other.endpoint.name == "a"
    assert lease.ended
    assert pool.stats().calls == 2
    assert_nothing_lost(pool, 2)


@BOTH
async def test_a_lease_that_ran_out_is_told_at_the_end_of_its_block(library):
    pool = Pool(["a"])

    with pytest.raises(LeaseError, match="expired"):
        async with pool.aio.lease(ttl_s=0.001):
            await task_until(library, lambda: not pool.leases())
    assert_nothing_lost(pool, 1)


def test_what_may_be_asked_is_shown_as_for_threads():
    def names(method: Callable[..., Any]) -> list[str]:
        return [name for name in inspect.signature(method).parameters if name != "self"]

    tasks = Pool().aio
    assert names(tasks.lease) == names(tasks.acquire) == names(Pool.acquire) == names(Pool.lease)
    assert names(tasks.call) == names(Pool.call)
    assert names(AsyncPool) == names(Pool)


@pytest.mark.parametrize(
    ("asked", "error"),
    [({"timeout": -1}, ValueError), ({"labels": "ab"}, TypeError), ({"slots": 0}, ValueError), ({"x": 1}, TypeError)],
)
def test_a_mistake_is_told_and_costs_nothing(asked, error):
    pool = Pool(["a"])

    async def block() -> None:
        async with pool.aio.lease(**asked):
            pass

    for main in (block, lambda: pool.aio.acquire(**asked)):
        with pytest.raises(error):
            asyncio.run(main())
    assert pool.stats().acquired == 0


def test_outside_of_an_event_loop_a_free_slot_is_had_and_a_wait_refused():
    pool = Pool(["a"])
    with pytest.raises(StopIteration) as done:
        pool.aio.acquire().send(None)
    with pytest.raises(RuntimeError, match="no running event loop"):
        pool.aio.acquire().send(None)
    done.value.value.release()
    assert_nothing_lost(pool, 1)


# -- waiting ---------------------------------------------------------------------------------------


@BOTH
async def test_tasks_and_threads_are_served_in_the_order_they_came(library):
    pool = Pool(["a"])
    got: list[int] = []
    threads: list[threading.Thread] = []

    def thread(number: int) -> None:
        with pool.lease(timeout=PATIENCE_S):
            got.append(number)

    async def task(number: int) -> None:
        async with pool.aio.lease(timeout=PATIENCE_S):
            got.append(number)

    held = pool.acquire()
    async with library.tasks() as start:
        for number in range(10):
            if number % 2:
                threads.append(threading.Thread(target=thread, args=(number,)))
                threads[-1].start()
            else:
                start(lambda number=number: task(number))
            await task_until(library, lambda number=number: pool.stats().waiting == number + 1)
        held.release()
    for each in threads:
        each.join(PATIENCE_S)
    assert got == list(range(10))
    assert_nothing_lost(pool, 1)


@BOTH
async def test_time_runs_out_for_a_task_as_for_a_thread(library):
    pool = Pool(["a"])

    async with pool.aio.lease():
        for timeout in (0, 0.01):
            with pytest.raises(AcquireTimeout) as caught:
                await pool.aio.acquire(timeout)
            assert caught.value.timeout_s == pytest.approx(timeout)
            assert caught.value.waited_s >= timeout
    assert pool.stats().timed_out == 2
    assert_nothing_lost(pool, 1)


# -- a pool of its own -----------------------------------------------------------------------------


@BOTH
def test_an_async_pool_is_a_pool_with_the_methods_of_tasks(library):
    async def main() -> None:
        async with AsyncPool(["a"], strategy="first", acquire_timeout_s=5) as pool:
            pool.add("b")
            pool.update("b", capacity=3)
            pool.set_strategy("fifo")
            heard: list[object] = []
            with pool.observe(heard.append):
                async with pool.lease(exclude={"a"}) as lease:
                    assert lease.endpoint.name == "b"
                    assert len(pool.leases()) == 1
            assert heard
            pool.release_by_id((await pool.acquire()).id)
            assert await pool.call(_name) in ("a", "b")
            pool.drain("b")
            pool.remove("a")
            pool.pinged("b", True)
            assert pool.out_of_service() == frozenset()
            assert [each.name for each in pool.stats().endpoints] == ["b"]
            assert repr(pool) == repr(pool.pool)
        with pytest.raises(PoolClosed):
            await pool.acquire()

    async def _name(lease: Any) -> str:
        return str(lease.endpoint.name)

    library.run(main)


def test_an_async_pool_may_come_from_a_config(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text('[pool]\nstrategy = "p2c"\n[[endpoints]]\nurl = "http://a/"\n')

    async def main() -> str:
        async with AsyncPool.from_config(path) as pool, pool.lease() as lease:
            return lease.endpoint.url

    assert asyncio.run(main()) == "http://a/"
