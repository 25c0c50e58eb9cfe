"""What a pool does for its callers: the same for threads, tasks of asyncio and of trio, here and at a server."""

import asyncio
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from balancer import (
    AcquireTimeout,
    AsyncPool,
    Endpoint,
    EndpointError,
    EndpointOverloaded,
    LeaseError,
    NoEndpoint,
    Pool,
    PoolClosed,
    RetrySettings,
    TooManyWaiters,
)
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.tasks.libraries import EACH, task_until
from tests.threads.crew import assert_nothing_lost

_A = Endpoint("http://a/", capacity=2, headers={"Authorization": "Bearer of a"}, labels=frozenset({"big"}))
_QUICK = RetrySettings(base_s=0.0, budget_ratio=10.0)


@pytest.fixture(params=["here", "at a server"])
def pool_of(request) -> Iterator[Callable[..., Pool]]:
    """Make a pool of some endpoints. In the end nothing is out."""
    with ExitStack() as stack:
        pools: list[Pool] = []

        def made(*endpoints: Endpoint | str) -> Pool:
            if request.param == "here":
                pools.append(Pool(endpoints, strategy="first", retries=_QUICK))
            else:
                serving = stack.enter_context(Serving(*endpoints, strategy="first", health=None))
                pools.append(stack.enter_context(Pool.connect(serving.url, retries=_QUICK)))
            return pools[-1]

        yield made
        for pool in pools:
            assert_nothing_lost(pool, sum(each.capacity for each in pool.endpoints()))


# -- a lease ---------------------------------------------------------------------------------------


@EACH
async def test_a_block_takes_what_it_asks_for_and_gives_it_back(library, pool_of):
    pool = pool_of("http://b/", _A)
    face = library.face(pool)
    async with face.lease(labels={"big"}, holder="mine", slots=2, priority=2) as lease:
        assert (lease.endpoint, lease.holder, lease.slots, lease.priority) == (_A, "mine", 2, 2)
        assert lease.endpoint.headers["Authorization"] == "Bearer of a"
        assert [(row.holder, row.slots) for row in pool.leases()] == [("mine", 2)]
        async with face.lease(0, exclude=["http://a/"]) as other:
            assert other.endpoint.name == "http://b/"
    assert lease.ended
    assert pool.stats().calls == 2


@EACH
async def test_an_exception_gives_it_back_with_the_right_outcome(library, pool_of):
    pool = pool_of("a")
    for error in (EndpointError("down"), EndpointOverloaded("busy"), TimeoutError(), KeyError("mine")):
        with pytest.raises(type(error)):
            async with library.face(pool).lease(timeout=PATIENCE_S):
                raise error
    (stats,) = pool.stats().endpoints
    assert (stats.leases, stats.failures, stats.overloads, stats.ignored) == (4, 2, 1, 1)


@EACH
async def test_a_lease_ends_once_or_with_its_time(library, pool_of):
    face = library.face(pool_of("a"))
    lease = await face.acquire()
    lease.release()
    with pytest.raises(LeaseError, match="already released"):
        lease.release()
    with pytest.raises(LeaseError):
        async with face.lease(timeout=PATIENCE_S) as lease:
            lease.release()  # the end of the block is the second time
    with pytest.raises(LeaseError, match="expired"):
        async with face.lease(timeout=PATIENCE_S, ttl_s=0.001) as lease:
            await task_until(library, lambda: lease.ended)


@pytest.mark.parametrize(
    ("asked", "error", "why"),
    [
        ({"timeout": -1}, ValueError, "timeout"),
        ({"labels": "ab"}, TypeError, "labels"),
        ({"slots": 0}, ValueError, "slots"),
        ({"priority": 10**400}, ValueError, "priority is"),
        ({"priority": 1.5}, ValueError, "priority is"),
        ({"key": 5}, TypeError, "key is 5; it takes a text, or None"),
        ({"only": 1}, TypeError, "only is 1; it takes the name of an endpoint, or None"),
        ({"x": 1}, TypeError, "x"),
        ({"labels": ["tpu"], "exclude": ["a"]}, NoEndpoint, "none of the 1 endpoints in service can serve"),
    ],
)
@EACH
async def test_what_cannot_be_had_is_told_at_once_and_costs_nothing(library, pool_of, asked, error, why):
    pool = pool_of("a")
    face = library.face(pool)
    with pytest.raises(error, match=why):
        await face.acquire(**asked)
    with pytest.raises(error, match=why):
        async with face.lease(**asked):
            pass
    assert (pool.stats().acquired, pool.stats().waiting) == (0, 0)


# -- waiting ---------------------------------------------------------------------------------------


@EACH
async def test_callers_are_served_in_the_order_they_came(library, pool_of):
    pool, got, threads = pool_of("a"), list[int](), list[threading.Thread]()

    def thread(number: int) -> None:
        with pool.lease(timeout=PATIENCE_S):
            got.append(number)

    async def task(number: int) -> None:
        async with library.face(pool).lease(timeout=PATIENCE_S):
            got.append(number)

    held = await library.face(pool).acquire()
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


@EACH
async def test_time_runs_out_and_the_queue_may_be_full(library):
    pool = Pool(["a"], acquire_timeout_s=0.01)
    face = library.face(pool)
    async with face.lease():
        for asked, least_s in (((0,), 0.0), ((0.02,), 0.02), ((), 0.01)):
            with pytest.raises(AcquireTimeout, match=f"within {least_s:g} s") as caught:
                await face.acquire(*asked)
            assert caught.value.waited_s >= least_s
    assert (pool.stats().timed_out, pool.stats().acquire_rate) == (3, 0.25)
    full = Pool(["a"], max_waiters=0)
    async with library.face(full).lease():
        with pytest.raises(TooManyWaiters):
            await library.face(full).acquire(timeout=5)
        with pytest.raises(AcquireTimeout):
            await library.face(full).acquire(timeout=0)
    assert_nothing_lost(pool, 1)


def _change_strategies(pool: Pool) -> None:
    for name in NAMES * 3:
        pool.set_strategy(name)
    pool.release_by_id(pool.leases()[0].id)


def _close(pool: Pool) -> None:
    shown = repr(pool)
    pool.close()
    assert shown == "<Pool least_in_flight: 2 active; 3/3 in flight, 3 waiting, 3 granted>"


_X = frozenset("x")


@pytest.mark.parametrize(
    ("befalls", "asked", "end"),
    [
        (_close, {}, "PoolClosed"),
        (lambda pool: pool.add(Endpoint("c", capacity=2)), {}, "lease"),
        (lambda pool: pool.update("a", capacity=3), {}, "lease"),
        (lambda pool: (pool.update("b", capacity=4), pool.update("b", labels=_X)), {"labels": _X}, "lease"),
        (lambda pool: pool.drain("a"), {"labels": _X}, "NoEndpoint"),
        (lambda pool: pool.remove("a"), {"labels": _X}, "NoEndpoint"),
        (_change_strategies, {}, "lease"),
    ],
    ids=["close", "add", "more capacity", "new labels", "drain", "remove", "another strategy"],
)
@EACH
async def test_what_befalls_those_who_wait(library, befalls, asked, end):
    pool, ends = Pool([Endpoint("a", labels=_X), Endpoint("b", capacity=2)]), Counter[str]()
    kept = [pool.acquire(timeout=0) for _ in range(3)]  # one that is dropped comes back after a second

    async def waits() -> None:
        try:
            (await library.face(pool).acquire(timeout=PATIENCE_S, **asked)).release()
            ends["lease"] += 1
        except (NoEndpoint, PoolClosed) as error:
            ends[type(error).__name__] += 1

    async with library.tasks() as start:
        for _ in range(3):
            start(waits)
        await task_until(library, lambda: pool.stats().waiting == 3)
        befalls(pool)
    assert ends == {end: 3}
    assert (pool.stats().waiting, len(kept)) == (0, 3)


# -- a call ----------------------------------------------------------------------------------------


@EACH
async def test_a_call_is_tried_elsewhere(library, pool_of):
    async def fails_at_a(lease: Any) -> str:
        if lease.endpoint.url == "a":
            raise EndpointError("down")
        return "done"

    pool = pool_of("a", "b")
    assert await library.face(pool).call(fails_at_a) == "done"
    assert [(each.leases, each.failures) for each in pool.stats().endpoints] == [(1, 1), (1, 0)]
    with pytest.raises(EndpointError) as caught:
        await library.face(pool).call(fails_at_a, exclude=["b"], attempts=2)
    assert caught.value.__notes__ == ["the last of 2 attempts was at a"]


@EACH
@pytest.mark.parametrize("slow", ["a", "b"])
async def test_a_slow_call_is_made_a_second_time_and_the_lease_of_the_loser_ends_at_once(library, pool_of, slow):
    began, ended = list[str](), list[str]()

    async def fn(lease: Any) -> str:
        name: str = lease.endpoint.name
        began.append(name)
        try:
            while (name == slow and not lease.ended) or len(began) < 2:
                await library.sleep(0.001)
        finally:
            ended.append(name)
        return name

    pool = pool_of("a", "b")
    other = "b" if slow == "a" else "a"
    assert await library.face(pool).call(fn, hedge_after_s=0.001) == other
    await task_until(library, lambda: len(ended) == 2)
    assert ended == [other, slow], "the loser goes on until its lease has ended"
    assert [(each.leases, each.failures) for each in pool.stats().endpoints] == [(1, 0), (1, 0)]
    assert (pool.stats().hedges, pool.stats().calls) == (1, 1)


# -- a pool for tasks ------------------------------------------------------------------------------


def test_tasks_may_ask_for_what_threads_may():
    def names(method: Callable[..., Any]) -> list[str]:
        return [name for name in inspect.signature(method).parameters if name != "self"]

    tasks = Pool().aio
    assert names(tasks.lease) == names(tasks.acquire) == names(Pool.acquire) == names(Pool.lease)
    assert names(tasks.call) == names(Pool.call)
    assert names(AsyncPool) == names(Pool)


def test_outside_of_an_event_loop_a_free_slot_is_had_and_a_wait_refused():
    pool = Pool(["a"])
    with pytest.raises(StopIteration) as done:
        pool.aio.acquire().send(None)
    with pytest.raises(RuntimeError, match="no running event loop"):
        pool.aio.acquire().send(None)
    done.value.value.release()
    assert_nothing_lost(pool, 1)


def test_an_async_pool_has_the_methods_of_both_and_may_come_from_a_config(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text('[pool]\nstrategy = "p2c"\n[[endpoints]]\nurl = "http://a/"\n')

    async def main() -> None:
        async with AsyncPool.from_config(path) as pool:
            pool.add("b")
            pool.update("b", capacity=3)
            pool.set_strategy("fifo")
            heard: list[object] = []
            with pool.observe(heard.append):
                async with pool.lease(exclude={"b"}) as lease:
                    assert lease.endpoint.url == "http://a/"
            assert heard
            pool.release_by_id((await pool.acquire()).id)
            pool.drain("b")
            pool.remove("http://a/")
            pool.pinged("b", True)
            assert pool.out_of_service() == frozenset()
            assert [each.name for each in pool.stats().endpoints] == ["b"]
            assert repr(pool) == repr(pool.pool)
        with pytest.raises(PoolClosed):
            await pool.acquire()

    asyncio.run(main())
