"""What a lease costs a task, as ratios to that of a thread in the same run; and what a shared lock does to a loop.

    python -m tests.benchmarks.bench_aio [--short]

What runs in one thread is timed in that thread's CPU time, so that a busy machine does not count; 64 threads by that of
the process.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from balancer import Endpoint, Pool
from tests.benchmarks.harness import beside, in_turns, options, show, timed, together

SLOTS, TASKS = 8, 64
_THREADS = "pool.lease, threads"
CREWS, TICK_S = (0, 1, 4), 0.001


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: turns of so many leases, and the latency of a loop for so many ticks of 1 ms."""

    turns: int
    leases: int
    ticks: int


FULL = Effort(turns=40, leases=6400, ticks=1000)
SHORT = Effort(turns=5, leases=1280, ticks=50)

Block = Callable[[], AbstractAsyncContextManager[object]]


def pool_of() -> Pool:
    """Return a pool of eight slots, as it is by default: with health."""
    return Pool([Endpoint(f"e{number}", capacity=2) for number in range(SLOTS // 2)], seed=1)


# -- what a lease costs ----------------------------------------------------------------------------


async def alone(block: Block, leases: int) -> float:
    """Return the CPU seconds of a lease where a slot is free."""
    began_s = time.thread_time()
    for _ in range(leases):
        async with block():
            pass
    return (time.thread_time() - began_s) / leases


async def in_a_crowd(block: Block, leases: int) -> float:
    """Return the CPU seconds of a lease that 64 tasks take turns at."""

    async def work() -> None:
        for _ in range(leases // TASKS):
            async with block():
                await asyncio.sleep(0)

    began_s = time.thread_time()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return (time.thread_time() - began_s) / leases


def of_tasks(measure: Callable[[Block, int], Coroutine[Any, Any, float]], make: Callable[[], Block]) -> "Turn":
    async def turn(leases: int) -> float:
        return await measure(make(), leases)

    return lambda leases: asyncio.run(turn(leases))


def thread_alone(leases: int) -> float:
    pool = pool_of()

    def work() -> None:
        for _ in range(leases):
            with pool.lease():
                pass

    return timed(work) / leases


def threads_in_a_crowd(leases: int) -> float:
    pool = pool_of()

    def work() -> None:
        for _ in range(leases // TASKS):
            with pool.lease():
                time.sleep(0)

    return timed(lambda: together(TASKS, work), time.process_time) / leases


Turn = Callable[[int], float]


def _semaphore() -> Block:
    semaphore = asyncio.Semaphore(SLOTS)
    return lambda: semaphore


def _limiter() -> Block:
    limiter = anyio.CapacityLimiter(SLOTS)
    return lambda: limiter


def _face() -> Block:
    lease: Block = pool_of().aio.lease
    return lease


CONTENDERS: dict[str, tuple[Turn, Turn]] = {
    _THREADS: (thread_alone, threads_in_a_crowd),
    "pool.aio.lease": (of_tasks(alone, _face), of_tasks(in_a_crowd, _face)),
    "asyncio.Semaphore": (of_tasks(alone, _semaphore), of_tasks(in_a_crowd, _semaphore)),
    "anyio.CapacityLimiter": (of_tasks(alone, _limiter), of_tasks(in_a_crowd, _limiter)),
}


def report_cost(effort: Effort) -> None:
    """Print what a lease costs, free and in a crowd."""
    both = {f"{name} {which}": turn for name, two in CONTENDERS.items() for which, turn in enumerate(two)}
    turns = in_turns({name: partial(turn, effort.leases) for name, turn in both.items()}, effort.turns)

    def cells(name: str, which: int) -> tuple[str, str]:
        us, ratio = turns.median(f"{name} {which}") * 1e6, turns.ratio(f"{name} {which}", f"{_THREADS} {which}")
        return f"{us:.2f}", f"{ratio:.2f}"

    show(
        f"what | free, us | x thread | {TASKS} on {SLOTS}, us | x threads",
        ((name, *cells(name, 0), *cells(name, 1)) for name in CONTENDERS),
        f"{SLOTS} slots; {effort.turns} turns of {effort.leases} leases, CPU time, medians",
    )
    print("aim: pool.aio.lease <= 2 x the lease of a thread")


# -- what a shared lock means for a loop -----------------------------------------------------------


async def late_s(effort: Effort, step: Callable[[], Coroutine[Any, Any, object]]) -> list[float]:
    """Return by how much a loop was late at each of its ticks of 1 ms, in order of size; at each it does a `step`."""
    late: list[float] = []
    for _ in range(effort.ticks):
        began_s = time.perf_counter()
        await asyncio.sleep(TICK_S)
        await step()
        late.append(time.perf_counter() - began_s - TICK_S)
    return sorted(late)


def late_beside(threads: int, effort: Effort, *, leases: bool, asks: bool) -> str:
    """Return how late a loop is beside threads that do nothing but lease, or nothing but count: median, p99, most."""
    over, pool = threading.Event(), pool_of()

    def lease() -> None:
        while not over.is_set():
            with pool.lease():
                pass

    def count() -> None:
        number = 0
        while not over.is_set():
            number += 1

    async def step() -> None:
        if asks:
            async with pool.aio.lease():
                pass

    with beside([lease if leases else count] * threads, over):
        late = asyncio.run(late_s(effort, step))
    shown = (late[len(late) // 2], late[int(len(late) * 0.99)], late[-1])
    return " ".join(f"{each * 1e3:6.2f}" for each in shown)


def report_latency(effort: Effort) -> None:
    """Print how late a loop is beside threads that do nothing but lease."""
    ways = ((True, True), (True, False), (False, False))
    show(
        "beside | the loop leases | it does not | threads that only count",
        (
            (f"{threads} threads", *(late_beside(threads, effort, leases=leases, asks=asks) for leases, asks in ways))
            for threads in CREWS
        ),
        f"How late a loop is that sleeps 1 ms {effort.ticks} times, in ms: median, 99 of 100, most",
    )


def main() -> None:
    """Measure and print."""
    effort = SHORT if options(__doc__, "some seconds instead of a minute; rougher").short else FULL
    report_cost(effort)
    report_latency(effort)


if __name__ == "__main__":
    main()
