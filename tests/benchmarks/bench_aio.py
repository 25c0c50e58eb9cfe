"""What a lease costs a task, as ratios to that of a thread in the same run; and what a shared lock does to a loop.

    python -m tests.benchmarks.bench_aio [--short]

The contenders take turns, many times, and each ratio is taken within a turn; the table shows the median over the turns.
What runs in one thread is timed in that thread's CPU time, so that a busy machine does not count; 64 threads by that of
the process.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from balancer import Endpoint, Pool

SLOTS, TASKS = 8, 64
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
    began_s = time.thread_time()
    for _ in range(leases):
        with pool.lease():
            pass
    return (time.thread_time() - began_s) / leases


def threads_in_a_crowd(leases: int) -> float:
    pool = pool_of()

    def work() -> None:
        for _ in range(leases // TASKS):
            with pool.lease():
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(TASKS)]
    began_s = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.process_time() - began_s) / leases


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
    "pool.lease, threads": (thread_alone, threads_in_a_crowd),
    "pool.aio.lease": (of_tasks(alone, _face), of_tasks(in_a_crowd, _face)),
    "asyncio.Semaphore": (of_tasks(alone, _semaphore), of_tasks(in_a_crowd, _semaphore)),
    "anyio.CapacityLimiter": (of_tasks(alone, _limiter), of_tasks(in_a_crowd, _limiter)),
}


def report_cost(console: Console, effort: Effort) -> None:
    """Print what a lease costs, free and in a crowd."""
    gc.collect()
    turns: list[list[tuple[float, float]]] = []
    for number in range(effort.turns + 1):
        turn = [(free(effort.leases), crowd(effort.leases)) for free, crowd in CONTENDERS.values()]
        if number:  # the first one warms up
            turns.append(turn)
    table = Table(title=f"{SLOTS} slots; {effort.turns} turns of {effort.leases} leases, CPU time, medians")
    for heading in ("what", "free, us", "x thread", f"{TASKS} on {SLOTS}, us", "x threads"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row, name in enumerate(CONTENDERS):
        cells = []
        for which in (0, 1):
            cost_us = statistics.median(turn[row][which] for turn in turns) * 1e6
            ratio = statistics.median(turn[row][which] / turn[0][which] for turn in turns)
            cells += [f"{cost_us:.2f}", f"{ratio:.2f}"]
        table.add_row(name, *cells)
    console.print(table)
    console.print("aim: pool.aio.lease <= 2 x the lease of a thread")


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


def beside(threads: int, pool: Pool, effort: Effort, leases: bool, *, asks: bool) -> list[float]:
    """Return how late a loop is beside threads that do nothing but lease, or nothing but count."""
    over = threading.Event()

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

    crew = [threading.Thread(target=lease if leases else count, daemon=True) for _ in range(threads)]
    for thread in crew:
        thread.start()
    try:
        return asyncio.run(late_s(effort, step))
    finally:
        over.set()
        for thread in crew:
            thread.join(30)


def report_latency(console: Console, effort: Effort) -> None:
    """Print how late a loop is beside threads that do nothing but lease."""
    table = Table(title=f"How late a loop is that sleeps 1 ms {effort.ticks} times, in ms: median, 99 of 100, most")
    for heading in ("beside", "the loop leases", "it does not", "threads that only count"):
        table.add_column(heading, justify="left" if heading == "beside" else "right")
    for threads in CREWS:
        cells = []
        for leases, asks in ((True, True), (True, False), (False, False)):
            late = beside(threads, pool_of(), effort, leases, asks=asks)
            shown = (late[len(late) // 2], late[int(len(late) * 0.99)], late[-1])
            cells.append(" ".join(f"{each * 1e3:6.2f}" for each in shown))
        table.add_row(f"{threads} threads", *cells)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="some seconds instead of a minute; rougher")
    effort = SHORT if parser.parse_args(arguments).short else FULL
    console = Console(width=110)
    report_cost(console, effort)
    report_latency(console, effort)
    return 0


if __name__ == "__main__":
    sys.exit(main())
