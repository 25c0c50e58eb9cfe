"""What a lease costs, as ratios to `queue.Queue` get+put measured in the same run.

    python -m tests.benchmarks.bench_pool [--short]

What runs in one thread is timed in that thread's CPU time, so that a busy machine does not count.
"""

import asyncio
import gc
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from balancer import Endpoint, Lease, Pool
from balancer.core.metrics import jain_index
from balancer.plugins.registry import default_registry
from balancer.settings.rules import HealthSettings
from tests.benchmarks.harness import Row, beside, in_turns, options, show, timed
from tests.unit import test_growth as growth

STRATEGIES = sorted(default_registry().strategies)
MANY = 10_000
AIMS = {"fifo": 1.1, "least_in_flight": 1.45, "weighted_health": 1.75}  # x queue.Queue
THREADS, ENDPOINTS, HOLD_S = 128, 4, 0.001
_YARDSTICK = "queue.Queue get+put"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. A turn of `pairs` is some 5 ms, so that a switch of tasks is a small part of one."""

    turns: int
    pairs: int
    crowd_s: float
    crowd_turns: int


FULL = Effort(turns=60, pairs=4000, crowd_s=2.0, crowd_turns=3)
SHORT = Effort(turns=10, pairs=1000, crowd_s=0.4, crowd_turns=1)


# -- one thread ------------------------------------------------------------------------------------

Run = Callable[[int], None]
"""Lease and give back so many times."""


def queue_run(slots: "queue.Queue[int]", pairs: int) -> None:
    """The yardstick: `queue.Queue` get and put."""
    get, put = slots.get, slots.put
    for _ in range(pairs):
        put(get())


def acquire_run(pool: Pool, pairs: int) -> None:
    acquire, release = pool.acquire, pool.release
    for _ in range(pairs):
        release(acquire())


def call_run(pool: Pool, pairs: int, **asked: Any) -> None:
    def work(lease: Lease) -> None:
        pass

    for _ in range(pairs):
        pool.call(work, **asked)


def task_lease_run(pool: Pool, pairs: int) -> None:
    async def run() -> None:
        lease = pool.aio.lease
        for _ in range(pairs):
            async with lease():
                pass

    asyncio.run(run())


def task_call_run(pool: Pool, pairs: int) -> None:
    async def run() -> None:
        async def work(lease: Lease) -> None:
            pass

        for _ in range(pairs):
            await pool.aio.call(work)

    asyncio.run(run())


def queue_of(size: int) -> "queue.Queue[int]":
    slots: queue.Queue[int] = queue.Queue()
    for number in range(size):
        slots.put(number)
    return slots


def pool_of(strategy: str, size: int, health: HealthSettings | None = None) -> Pool:
    endpoints = [Endpoint(f"http://10.0.0.1:{number}/") for number in range(1, size + 1)]
    return Pool(endpoints, strategy=strategy, seed=1, health=health)


# -- many threads ----------------------------------------------------------------------------------

Hold = Callable[[Callable[[], None]], None]
"""Take a slot, call what it is given while it has it, give it back."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many threads achieved: leases a second, by what the mean hold time allows, and how evenly."""

    rate: float
    of_ideal: float
    jain: float


def crowd(turn: Hold, run_s: float, threads: int = THREADS) -> Crowd:
    """Let `threads` threads take turns back to back; `turn(hold)` calls `hold` while it has a slot.

    The ideal is what the holds themselves allow: a sleep of 1 ms takes 1.06 ms or more, so the ideal is
    not 4000 leases a second but the number of endpoints by the mean time that a hold was measured to take.
    """
    counts, held_s = [0] * threads, [0.0] * threads
    barrier = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work(number: int) -> None:
        def hold() -> None:
            started_s = time.perf_counter()
            time.sleep(HOLD_S)
            held_s[number] += time.perf_counter() - started_s

        barrier.wait()
        while not stop.is_set():
            turn(hold)
            counts[number] += 1

    with beside([partial(work, number) for number in range(threads)], stop):
        barrier.wait()
        started_s = time.perf_counter()
        time.sleep(run_s)
        done, held, took_s = list(counts), sum(held_s), time.perf_counter() - started_s
    rate, mean_hold_s = sum(done) / took_s, held / max(1, sum(done))
    return Crowd(rate, rate / (ENDPOINTS / mean_hold_s), jain_index(done))


def within(block: Callable[[], AbstractContextManager[object]]) -> Hold:
    """Return a hold within a `with` block: a lease, or a semaphore."""

    def turn(hold: Callable[[], None]) -> None:
        with block():
            hold()

    return turn


def queue_turn() -> Hold:
    """Return a pool of tokens in a queue."""
    slots = queue_of(ENDPOINTS)

    def turn(hold: Callable[[], None]) -> None:
        slot = slots.get()
        hold()
        slots.put(slot)

    return turn


def hand_off_turn() -> Hold:
    """Return the plainest fair pool there is: a freed slot goes to the thread that waits longest, which wakes.

    It knows no endpoints, deadlines or counters, so this is what fairness by itself costs: a switch of
    threads for every lease, during which the slot is idle. The unfair ones above hardly ever switch.
    """
    lock, free = threading.Lock(), list(range(ENDPOINTS))
    waiters: deque[tuple[threading.Lock, list[int]]] = deque()

    def take() -> int:
        with lock:
            if free:
                return free.pop()
            gate = threading.Lock()
            box: list[int] = []
            gate.acquire()
            waiters.append((gate, box))
        gate.acquire()
        return box[0]

    def turn(hold: Callable[[], None]) -> None:
        slot = take()
        hold()
        with lock:
            gate, box = waiters.popleft() if waiters else (None, free)
            box.append(slot)
        if gate:
            gate.release()

    return turn


# -- the report ------------------------------------------------------------------------------------


def report_lease(effort: Effort) -> None:
    """Print what a lease costs with each strategy, with health off and on, and what it costs more of many endpoints."""
    runs: dict[str, Run] = {_YARDSTICK: partial(queue_run, queue_of(4))}
    for strategy in STRATEGIES:
        runs[f"{strategy}, off"] = partial(acquire_run, pool_of(strategy, 4))
        runs[strategy] = partial(acquire_run, pool_of(strategy, 4, HealthSettings()))
    for strategy in AIMS:
        runs[f"{strategy}, many"] = partial(acquire_run, pool_of(strategy, MANY, HealthSettings()))

    def cells(strategy: str) -> Row:
        off, on = (turns.ratio(name, _YARDSTICK) for name in (f"{strategy}, off", strategy))
        us = turns.median(strategy) * 1e6 / effort.pairs
        costs = strategy, f"{us:.2f}", f"{off:.2f}", f"{on:.2f}"
        if strategy not in AIMS:
            return *costs, "", ""
        return *costs, f"<= {AIMS[strategy]}", f"{turns.ratio(f'{strategy}, many', strategy):.2f}"

    gc.collect()
    gc.disable()
    turns = in_turns({name: partial(timed, partial(run, effort.pairs)) for name, run in runs.items()}, effort.turns)
    gc.enable()
    show(
        f"strategy | us | x queue.Queue, health off | health on | aim | {MANY} endpoints, x four",
        map(cells, STRATEGIES),
        f"A lease, four endpoints; {effort.turns} turns of {effort.pairs}, CPU time, medians",
    )


def report_calls(effort: Effort) -> None:
    """Print what `pool.call` costs, in leases."""
    pool = pool_of("fifo", 4, HealthSettings())
    lease, task_lease = "a lease", "a lease in a task"
    runs: dict[str, Run] = {
        lease: partial(acquire_run, pool),
        "pool.call": partial(call_run, pool),
        "pool.call, with a key": partial(call_run, pool, key="a"),
        "pool.call, with a deadline": partial(call_run, pool, deadline_s=60.0),
        task_lease: partial(task_lease_run, pool),
        "pool.aio.call": partial(task_call_run, pool),
    }
    turns = in_turns({name: partial(timed, partial(run, effort.pairs)) for name, run in runs.items()}, effort.turns)

    def cells(name: str) -> Row:
        us = turns.median(name) * 1e6 / effort.pairs
        leases = (f"{turns.ratio(name, base):.2f}" for base in (lease, task_lease))
        return name, f"{us:.2f}", *leases, "<= 3 leases" if name in ("pool.call", "pool.aio.call") else ""

    show(
        "what | us | in leases | in leases of tasks | target",
        map(cells, runs),
        f"Calls, fifo, 4 endpoints, health on; {effort.turns} turns of {effort.pairs}, CPU time, medians",
    )


def semaphore() -> Hold:
    slots = threading.Semaphore(ENDPOINTS)
    return within(lambda: slots)


def contenders() -> dict[str, tuple[Callable[[], Hold], int]]:
    """Return what makes each pool, and for how many threads, by name."""
    return {
        f"no pool, {ENDPOINTS} threads": (lambda: lambda hold: hold(), ENDPOINTS),
        "threading.Semaphore": (semaphore, THREADS),
        "queue.Queue of tokens": (queue_turn, THREADS),
        "the plainest hand-off": (hand_off_turn, THREADS),
        **{
            f"Pool, {strategy}": (lambda name=strategy: within(pool_of(name, ENDPOINTS).lease), THREADS)
            for strategy in AIMS
        },
    }


def report_crowd(effort: Effort) -> None:
    """Print what many threads achieve."""
    runs: dict[str, list[Crowd]] = {}
    for _ in range(effort.crowd_turns):
        for name, (make, threads) in contenders().items():
            runs.setdefault(name, []).append(crowd(make(), effort.crowd_s, threads))
    best = {name: max(found, key=lambda each: each.of_ideal) for name, found in runs.items()}
    show(
        "what | leases/s | of the ideal | Jain over threads | target",
        (
            (name, f"{b.rate:.0f}", f"{b.of_ideal:.1%}", f"{b.jain:.3f}", ">= 95%" if name[:4] == "Pool" else "")
            for name, b in best.items()
        ),
        f"{THREADS} threads, {ENDPOINTS} endpoints, leases of 1 ms; best of {effort.crowd_turns}",
    )


def report_growth(effort: Effort) -> None:
    """Print what calls of the core take, under the lock, when many wait and there are many endpoints."""
    calls: dict[str, tuple[Callable[..., None], growth.Asks, dict[str, Any]]] = {
        "a wait times out": (growth.time_out, growth.one_kind, {}),
        "a hand-on, fair shares": (growth.hand_on, growth.by_holder, {"holders": {}}),
    }

    def cells(name: str, endpoints: int) -> Row:
        call, asks, options = calls[name]
        took = []
        for waiting in (1, 100, 1000):
            crowds = [growth.crowd(endpoints, waiting, asks, **options) for _ in range(effort.crowd_turns)]
            rounds = min(10, waiting, endpoints - 1)
            took.append(min(timed(partial(call, *crowd)) for crowd in crowds) / rounds * 1e6)
        return name, endpoints, *(f"{us:.0f}" for us in took)

    show(
        "call | endpoints | 1 waiter | 100 waiters | 1000 waiters",
        [cells(name, endpoints) for name in calls for endpoints in (10, 1000, MANY)],
        f"Under the lock, us of CPU a call; all endpoints leased; best of {effort.crowd_turns}",
    )


def report_start(effort: Effort) -> None:
    """Print what the start of a process costs that has a pool."""

    def started(code: str) -> float:
        began_s = sum(os.times()[2:4])
        subprocess.run([sys.executable, "-c", code], check=True)
        return sum(os.times()[2:4]) - began_s

    codes = ("import asyncio", "from balancer import Pool")
    turns = in_turns({code: partial(started, code) for code in codes}, effort.turns // 2)
    rows = [(code, f"{turns.median(code) * 1e3:.0f}", f"{turns.ratio(code, codes[0]):.2f}") for code in codes]
    show("a new process | ms | x asyncio", rows, f"CPU time of {effort.turns // 2} processes each, medians")


def main() -> None:
    """Measure and print."""
    effort = SHORT if options(__doc__, "some seconds instead of a minute; rougher").short else FULL
    report_lease(effort)
    report_calls(effort)
    report_crowd(effort)
    report_growth(effort)
    report_start(effort)


if __name__ == "__main__":
    main()
