"""`pool.aio.call`: retries, deadlines and hedging by the course that threads go by; a hedged loser is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from balancer import Endpoint, Lease, Pool
from balancer.settings.rules import HealthSettings, RetrySettings
from tests.tasks.libraries import BOTH, Library, task_until
from tests.threads.crew import assert_nothing_lost

_QUICK = RetrySettings(base_s=0.0, budget_ratio=10.0)


def _pool(*urls: str, capacity: int = 1) -> Pool:
    return Pool([Endpoint(url, capacity=capacity) for url in urls], strategy="first", retries=_QUICK, seed=1)


def _ended_as(pool: Pool) -> dict[str, tuple[int, int]]:
    return {each.url: (each.leases, each.failures) for each in pool.stats().endpoints}


# -- tries ------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("hedge_after_s", [None, 0.001, 60.0], ids=["alone", "hedged", "to be hedged"])
async def test_an_attempt_that_runs_at_the_deadline_is_ended_and_its_endpoint_was_too_slow(library, hedge_after_s):
    log = list[str]()
    pool = Pool(["a", "b"], strategy="first", retries=_QUICK, health=HealthSettings(consecutive_failures=2))

    with pytest.raises(TimeoutError, match=r"did not answer before the deadline of 0\.2 s") as caught:
        await pool.aio.call(_slow_at(library, "a", "b", log=log), deadline_s=0.2, hedge_after_s=hedge_after_s)
    assert caught.value.__notes__ == ["the only attempt was at a"]
    assert sorted(log)[0].startswith("a ended")  # before the call returns
    assert len(log) == pool.stats().acquired
    assert _ended_as(pool)["a"] == (1, 1)
    assert not pool.out_of_service()  # its failure counts once
    assert pool.stats().endpoints[1].failures == 0
    assert_nothing_lost(pool, 2)


@BOTH
async def test_an_endpoint_that_was_given_too_little_time_is_not_to_blame(library):
    """The wait for a lease took most of it; a pool that is full must not eject its sound endpoints."""
    now = [0.0]
    pool = Pool(["a"], strategy="first", retries=_QUICK, clock=lambda: now[0])

    held = pool.acquire()
    async with library.tasks() as start:

        async def call() -> None:
            with pytest.raises(TimeoutError, match=r"of 60 s, of which 60 s had passed before it was asked"):
                await pool.aio.call(_slow_at(library, "a", log=[]), deadline_s=60.0)

        start(call)
        await task_until(library, lambda: pool.stats().waiting == 1)
        now[0] = 59.99
        held.release()
    assert (pool.stats().acquired, pool.stats().failures, pool.stats().calls) == (2, 0, 1)
    assert_nothing_lost(pool, 1)


@BOTH
async def test_a_call_that_is_cancelled_from_outside_stays_so(library):
    pool, log = _pool("a"), list[str]()
    async with library.tasks() as start:
        task = start(lambda: pool.aio.call(_slow_at(library, "a", log=log), deadline_s=60))
        await task_until(library, lambda: pool.stats().acquired == 1)
        task.cancel()
    assert log == ["a ended, its lease had not"]
    assert _ended_as(pool) == {"a": (1, 0)}
    assert_nothing_lost(pool, 1)


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda lease: 1, "fn returned a int, which cannot be awaited"),
        ("text", "it must be a coroutine function"),
        (lambda lease: (yield), "fn returned a generator, which cannot be awaited"),
    ],
)
def test_a_function_that_cannot_be_awaited_is_refused(fn, said):
    pool = _pool("a")
    with pytest.raises(TypeError, match=said):
        asyncio.run(pool.aio.call(fn))
    assert_nothing_lost(pool, 1)


# -- hedging ---------------------------------------------------------------------------------------


def _slow_at(library: type[Library], *names: str, log: list[str]) -> Callable[[Lease], Awaitable[str]]:
    """Return a call that hangs at these endpoints, and writes down when it is cancelled."""

    async def fn(lease: Lease) -> str:
        name = lease.endpoint.name
        if name in names:
            try:
                await library.sleep(3600)
            finally:
                log.append(f"{name} ended, its lease {'had' if lease.ended else 'had not'}")
        return name

    return fn


@BOTH
async def test_a_hedged_call_that_is_cancelled_cancels_both(library):
    pool, log = _pool("a", "b"), list[str]()

    async with library.tasks() as start:
        task = start(lambda: pool.aio.call(_slow_at(library, "a", "b", log=log), hedge_after_s=0.001))
        await task_until(library, lambda: pool.stats().hedges == 1)
        task.cancel()
    assert sorted(each.partition(",")[0] for each in log) == ["a ended", "b ended"]
    assert (pool.stats().calls, pool.stats().waiting) == (0, 0)
    assert_nothing_lost(pool, 2)
