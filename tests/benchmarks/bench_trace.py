"""What a trace costs a lease: pools with and without one, in turns, in one process.

    python -m tests.benchmarks.bench_trace [--short]

A loop that does nothing but lease shows the most that a trace can cost: its writer wants the interpreter as well.
Calls of a millisecond show what it costs where a lease is for something.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from balancer import Endpoint, Pool


def pool() -> Pool:
    """Return a pool of eight endpoints."""
    return Pool([Endpoint(f"http://10.0.0.{n}/", capacity=4) for n in range(8)], health=None)


def leases(pool: Pool, count: int) -> float:
    """Return the seconds of CPU of this process for a lease and its end, nothing else."""
    began = time.process_time()
    for _ in range(count):
        pool.acquire().release()
    return (time.process_time() - began) / count


def latency(pool: Pool, count: int) -> float:
    """Return the median seconds of CPU of this thread for a lease and its end: what the caller itself pays."""
    found = []
    for _ in range(count):
        began = time.thread_time_ns()
        for _ in range(20):
            pool.acquire().release()
        found.append((time.thread_time_ns() - began) / 20e9)
    return statistics.median(found)


def calls(pool: Pool, count: int, threads: int = 8) -> float:
    """Return the seconds that so many calls of a millisecond take, made by threads."""

    def work() -> None:
        for _ in range(count // threads):
            with pool.lease():
                time.sleep(0.001)

    crew = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    return time.perf_counter() - began


def compare(what: str, measure: Callable[[Pool, int], float], count: int, rounds: int, folder: Path) -> None:
    """Print the medians over rounds, in which the two take turns, and of their ratio."""
    bare, traced = pool(), pool()
    trace = traced.trace(folder / f"{measure.__name__}.jsonl")
    pairs = []
    for number in range(rounds + 1):
        order = (bare, traced) if number % 2 else (traced, bare)
        found = {id(each): measure(each, count) for each in order}
        trace.flush()
        pairs.append((found[id(bare)], found[id(traced)]))
    pairs = pairs[1:]  # the first one warms up
    without, with_it = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(two / one for one, two in pairs)
    traced.close()
    print(f"{what}: {without * 1e6:.3g} us without, {with_it * 1e6:.3g} us with; x {ratio:.2f}; lost {trace.lost}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    rounds = 3 if parser.parse_args().short else 21
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare("a lease, the caller's own CPU", latency, 100, rounds, folder)
        compare("a lease, CPU of the process, rows written", leases, 2000, rounds, folder)
        compare("800 calls of 1 ms by 8 threads, elapsed", calls, 800, rounds, folder)


if __name__ == "__main__":
    main()
