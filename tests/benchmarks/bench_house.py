"""What a lease costs that a server grants: four processes on 64 slots, singly and in blocks, beside a local pool.

    python -m tests.benchmarks.bench_house [--short]

The contenders take turns. Each process leases and gives back, and does nothing in between, with one thread or with 16
tasks; the leases a second are those of all four processes together, the quantiles those of all acquires of all turns.
The pool of one's own is one process's.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from balancer import Endpoint, Pool
from tests.house.serving import Command

PROCESSES, ENDPOINTS, CAPACITY, TASKS = 4, 8, 8, 16
SINGLY, BLOCKS, LOCAL = "one by one", "in blocks", "a pool of one's own"
CREWS = (1, TASKS)


# -- a client, in a process of its own --------------------------------------------------------------


def in_a_thread(pool: Pool, for_s: float) -> list[float]:
    """Lease for so many seconds; return how long each acquire took, in seconds."""
    took: list[float] = []
    until_s = time.perf_counter() + for_s
    while (began_s := time.perf_counter()) < until_s:
        lease = pool.acquire()
        took.append(time.perf_counter() - began_s)
        lease.release()
    return took


async def in_tasks(pool: Pool, for_s: float) -> list[float]:
    """As `in_a_thread`, by many tasks."""
    took: list[float] = []
    until_s = time.perf_counter() + for_s

    async def work() -> None:
        while (began_s := time.perf_counter()) < until_s:
            lease = await pool.aio.acquire()
            took.append(time.perf_counter() - began_s)
            lease.release()
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(TASKS)))
    return took


def client(url: str) -> None:
    """Do what is asked for on the input, a line each time, and print how long each acquire took, in us."""
    pools = {
        SINGLY: Pool.connect(url, within_s=60.0),
        BLOCKS: Pool.connect(url, within_s=60.0, block=64),
        LOCAL: Pool([Endpoint(f"http://10.0.0.{i}/", capacity=CAPACITY) for i in range(ENDPOINTS)]),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        name, crew, for_s = json.loads(line)
        pool = pools[name]
        took = in_a_thread(pool, for_s) if crew == 1 else asyncio.run(in_tasks(pool, for_s))
        print(json.dumps([round(1e6 * each_s) for each_s in took]), flush=True)
    for pool in pools.values():
        pool.close()


# -- the measurement -------------------------------------------------------------------------------


class Clients:
    """The processes."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.bench_house", "--client", url]
        self.all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        for each in self.all:
            assert each.stdout is not None
            each.stdout.readline()

    def turn(self, name: str, crew: int, for_s: float) -> list[int]:
        """Return how long each acquire of all who take part took, in us."""
        those = self.all[:1] if name == LOCAL else self.all
        for each in those:
            assert each.stdin is not None
            print(json.dumps([name, crew, for_s]), file=each.stdin, flush=True)
        took: list[int] = []
        for each in those:
            assert each.stdout is not None
            took += json.loads(each.stdout.readline())
        return took

    def end(self) -> None:
        for each in self.all:
            assert each.stdin is not None
            assert each.stdout is not None
            each.stdin.close()
            each.wait(60)
            each.stdout.close()


def measured(turns: int, for_s: float) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Return leases/s, p50 and p99 of an acquire in ms, by contender and crew."""
    with tempfile.TemporaryDirectory(prefix="balancer-house-") as folder:
        config = Path(folder) / "pool.toml"
        config.write_text(f'[[endpoints]]\nurl = "http://10.0.0.{{1..{ENDPOINTS}}}/"\ncapacity = {CAPACITY}\n')
        server = Command(config, ttl_s=10.0)
        clients = Clients(server.url)
        try:
            took: dict[tuple[str, int], list[int]] = {}
            rates: dict[tuple[str, int], list[float]] = {}
            for _ in range(turns):
                for crew in CREWS:
                    for name in (SINGLY, BLOCKS, LOCAL):
                        each = clients.turn(name, crew, for_s)
                        took.setdefault((name, crew), []).extend(each)
                        rates.setdefault((name, crew), []).append(len(each) / for_s)
        finally:
            clients.end()
            server.kill()
    found = {}
    for key, each in took.items():
        cuts = statistics.quantiles(each, n=100)
        found[key] = statistics.median(rates[key]), cuts[49] / 1000, cuts[98] / 1000
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench_house", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument("--client", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        client(asked.client)
        return
    turns, for_s = (2, 0.5) if asked.short else (10, 2.0)
    table = Table(title=f"{PROCESSES} processes on {ENDPOINTS * CAPACITY} slots, {turns} turns of {for_s:g} s")
    for heading in ("leases", "each process", "leases/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading in ("leases", "each process") else "right")
    for (name, crew), (rate, p50, p99) in sorted(measured(turns, for_s).items(), key=lambda each: each[0][1]):
        table.add_row(name, "1 thread" if crew == 1 else f"{crew} tasks", f"{rate:,.0f}", f"{p50:.3f}", f"{p99:.3f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
