"""What it costs a lease to be watched: pools with a trace, with figures, a page, spans, and without.

    python -m tests.benchmarks.bench_watched [--short]

All take turns, in one process. A loop that does nothing but lease shows the most that it can cost: a trace's writer and
a page's server want the interpreter as well. Calls of a millisecond show what it costs where a lease is for something.
The page is read by a process of its own; the figures are scraped once before, and not meanwhile; spans are made and
exported nowhere.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest

from balancer import Endpoint, Pool
from balancer.observing.otel import Spans
from balancer.observing.prometheus import Collector
from tests.benchmarks.harness import beside, in_turns, options, timed, together

_READ = "import sys, urllib.request\nfor line in urllib.request.urlopen(sys.argv[1] + 'events'): pass"


def pool() -> Pool:
    """Return a pool of eight endpoints."""
    return Pool([Endpoint(f"http://10.0.0.{n}/", capacity=4) for n in range(8)], health=None)


def latency(pool: Pool, count: int) -> float:
    """Return the median seconds of CPU of this thread for a lease and its end: what the caller itself pays."""
    found = []
    for _ in range(count):
        began = time.thread_time_ns()
        for _ in range(20):
            pool.acquire().release()
        found.append((time.thread_time_ns() - began) / 20e9)
    return statistics.median(found)


def leases(pool: Pool, count: int) -> float:
    """Return the seconds of CPU of this process for a lease and its end, nothing else."""

    def work() -> None:
        for _ in range(count):
            pool.acquire().release()

    return timed(work, time.process_time) / count


def calls(pool: Pool, count: int, threads: int = 8) -> float:
    """Return the seconds that so many calls of a millisecond take, made by threads."""

    def work() -> None:
        for _ in range(count // threads):
            with pool.lease():
                time.sleep(0.001)

    return timed(lambda: together(threads, work), time.perf_counter)


def compare(what: str, measure: Callable[[Pool, int], float], count: int, rounds: int, folder: Path) -> None:
    """Print, for each way to watch, the median over rounds and that of the ratio to the pool that nobody watches."""
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(pool()) for name in ("nobody", "trace", "metrics", "page", "page, read", "spans")
        }
        trace = pools["trace"].trace(folder / f"{measure.__name__}.jsonl")
        registry = CollectorRegistry()
        registry.register(Collector(pools["metrics"]))
        generate_latest(registry)
        stack.enter_context(Spans(pools["spans"], tracer_provider=TracerProvider()))
        pools["page"].serve_page()
        url = pools["page, read"].serve_page().url
        reader = stack.enter_context(subprocess.Popen([sys.executable, "-c", _READ, url]))
        stack.callback(reader.kill)
        time.sleep(1.0)

        def contender(pool: Pool) -> float:
            took_s = measure(pool, count)
            trace.flush()
            return took_s

        turns = in_turns({name: partial(contender, pool) for name, pool in pools.items()}, rounds)
    print(f"{what} (rows lost: {trace.lost})")
    for name in pools:
        print(f"  {name:10}  {turns.median(name) * 1e6:9.4g} us   x {turns.ratio(name, 'nobody'):.2f}")


def sizes(for_s: float) -> None:
    """Print the bytes that a page of 64 busy endpoints sends, at first and then a second."""
    over = threading.Event()
    crowd = Pool([Endpoint(f"http://10.0.{n // 8}.{n % 8 + 1}:8080/", capacity=2) for n in range(64)])

    def work(number: int) -> None:
        rng = random.Random(number)
        while not over.is_set():
            with crowd.lease(holder=f"sample {number % 20}"):
                time.sleep(rng.expovariate(4))

    with crowd, crowd.serve_page() as page, beside([partial(work, number) for number in range(120)], over):
        with urllib.request.urlopen(page.url + "events") as events:
            until_s = time.monotonic() + for_s
            first, *later = [len(line) + 1 for line in _lines(events, until_s) if line.startswith(b"data")]
        state, metrics = (len(urllib.request.urlopen(page.url + path).read()) for path in ("state", "metrics"))
        rate = crowd.stats().acquired / for_s
    print(f"a page of 64 endpoints, {rate:.0f} leases/s: {first} bytes, then {sum(later) / len(later):.0f} a second")
    print(f"  its whole state: {state} bytes; a scrape: {metrics} bytes")


def _lines(events: Iterable[bytes], until_s: float) -> Iterator[bytes]:
    for line in events:
        yield line
        if time.monotonic() > until_s:
            return


def main() -> None:
    short = options(__doc__, "a seventh of the rounds").short
    rounds = 3 if short else 21
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare("a lease, the caller's own CPU", latency, 100, rounds, folder)
        compare("a lease, CPU of the process, rows written", leases, 2000, rounds, folder)
        compare("800 calls of 1 ms by 8 threads, elapsed", calls, 800, rounds, folder)
    sizes(3.0 if short else 15.0)


if __name__ == "__main__":
    main()
