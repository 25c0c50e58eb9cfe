"""What befalls threads and tasks while they wait: the pool closes, members go, stages start in the wrong order."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from balancer import Endpoint, NoEndpoint, Pool, PoolClosed
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.tasks.libraries import BOTH, Library, task_until
from tests.threads.crew import crew, until


def _in_threads(pool: Pool, waiters: int, event: Callable[[Pool], object], **asked: Any) -> Counter[str]:
    ends: Counter[str] = Counter()

    def work(number: int) -> None:
        if number:
            try:
                pool.acquire(timeout=PATIENCE_S, **asked).release()
                ends["lease"] += 1
            except (NoEndpoint, PoolClosed) as error:
                ends[type(error).__name__] += 1
        else:
            until(lambda: pool.stats().waiting == waiters)
            event(pool)

    crew(waiters + 1, work)
    return ends


def _in_tasks(
    library: type[Library], pool: Pool, waiters: int, event: Callable[[Pool], object], **asked: Any
) -> Counter[str]:
    ends: Counter[str] = Counter()

    async def work() -> None:
        try:
            (await pool.aio.acquire(timeout=PATIENCE_S, **asked)).release()
            ends["lease"] += 1
        except (NoEndpoint, PoolClosed) as error:
            ends[type(error).__name__] += 1

    async def main() -> None:
        async with library.tasks() as start:
            for _ in range(waiters):
                start(work)
            await task_until(library, lambda: pool.stats().waiting == waiters)
            event(pool)

    library.run(main)
    return ends


@contextmanager
def busy_pool(*specs: Endpoint) -> Iterator[Pool]:
    """Yield a pool whose slots are all out. The leases are kept: one that is dropped comes back after a second."""
    pool = Pool(specs)
    kept = [pool.acquire(timeout=0) for _ in range(sum(spec.capacity for spec in specs))]
    yield pool
    del kept


def _change_strategies(pool: Pool) -> None:
    for name in NAMES * 3:
        pool.set_strategy(name)
    pool.release_by_id(pool.leases()[0].id)


def _show(pool: Pool) -> None:
    shown = repr(pool)
    pool.close()
    assert shown == "<Pool least_in_flight: 2 active; 2/2 in flight, 3 waiting, 2 granted>"


_A = Endpoint("a")


@pytest.mark.parametrize(
    "those_who_wait",
    [_in_threads, *(partial(_in_tasks, library) for library in BOTH.args[1])],
    ids=["threads", "tasks of asyncio", "tasks of trio"],
)
@pytest.mark.parametrize(
    ("specs", "waiters", "event", "asked", "ends"),
    [
        ([_A], 8, lambda pool: pool.close(), {}, {"PoolClosed": 8}),
        ([_A], 8, lambda pool: pool.add(Endpoint("b", capacity=2)), {}, {"lease": 8}),
        ([_A], 8, lambda pool: pool.update("a", capacity=3), {}, {"lease": 8}),
        (
            [Endpoint("a", labels=frozenset("x")), Endpoint("b", capacity=2)],
            3,
            lambda pool: (pool.update("b", capacity=4), pool.update("b", labels=["x"])),
            {"labels": ["x"]},
            {"lease": 3},
        ),
        ([_A], 5, lambda pool: pool.drain("a"), {}, {"NoEndpoint": 5}),
        ([_A], 5, lambda pool: pool.remove("a"), {}, {"NoEndpoint": 5}),
        ([_A], 6, _change_strategies, {}, {"lease": 6}),
        ([_A, Endpoint("b")], 3, _show, {}, {"PoolClosed": 3}),
    ],
    ids=[
        "closing ends every wait",
        "a new endpoint serves them",
        "more capacity serves them",
        "new labels serve those who want them",
        "those who wait for what drains are told",
        "those who wait for what is removed are told",
        "a change of strategy keeps them",
        "they are shown",
    ],
)
def test_what_befalls_those_who_wait(
    those_who_wait,
    specs,
    waiters,
    event,
    asked,
    ends,
):
    with busy_pool(*specs) as pool:
        assert those_who_wait(pool, waiters, event, **asked) == ends
        assert pool.stats().waiting == 0
