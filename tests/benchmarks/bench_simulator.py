"""How fast the simulator is, beside models in SimPy, Ciw and nothing but a heap, in the same run.

    python -m tests.benchmarks.bench_simulator [--short]

All simulate an M/M/8 queue at rho 0.9. The simulator does it with the production core and the strategy `fifo`; the
textbook model has a `Resource` and a process for each customer. The last two know servers that are all alike and a
line, no pool: they are what can be had at most. They take turns, in CPU time, and ratios are taken within a turn.
Their mean waits are shown beside Erlang C's, so that nobody is quick by being wrong; those of SimPy and of the heap
are made of the same random numbers, and are the same.
"""

import argparse
import heapq
import platform
import random
import statistics
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ciw  # type: ignore[import-untyped]
import simpy
from balancer_simulator.analytic import mmc
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Poisson
from rich.console import Console
from rich.table import Table

SERVERS: Final = 8
RHO: Final = 0.9
Model = Callable[[int, int], float]
"""Simulates so many customers with a seed, and returns their mean wait."""


def ours(customers: int, seed: int) -> float:
    return simulate_once(_scenario(customers, seed), Policy(strategy="fifo")).wait.mean


def _scenario(customers: int, seed: int) -> Scenario:
    rate = SERVERS * RHO
    endpoints = [EndpointModel(url=f"http://10.0.0.{{1..{SERVERS}}}/")]
    horizon_s = customers / rate
    return Scenario(workload=Poisson(rate_per_s=rate), endpoints=endpoints, horizon_s=horizon_s, seed=seed, health=None)


def textbook(customers: int, seed: int) -> float:
    env, rng, waits = simpy.Environment(), random.Random(seed), []
    servers = simpy.Resource(env, SERVERS)

    def customer() -> Generator[Any, Any, None]:
        arrived_s = env.now
        with servers.request() as request:
            yield request
            waits.append(env.now - arrived_s)
            yield env.timeout(rng.expovariate(1.0))

    def source() -> Generator[Any, Any, None]:
        for _ in range(customers):
            yield env.timeout(rng.expovariate(SERVERS * RHO))
            env.process(customer())

    env.process(source())
    env.run()
    return statistics.fmean(waits)


def callbacks(customers: int, seed: int) -> float:
    env, rng, waits = simpy.Environment(), random.Random(seed), list[float]()
    line: deque[float] = deque()
    free, left = SERVERS, customers

    def begin(arrived_s: float) -> None:
        waits.append(env.now - arrived_s)
        env.timeout(rng.expovariate(1.0)).callbacks.append(end)

    def arrive(_: Any) -> None:
        nonlocal free, left
        left -= 1
        if left:
            env.timeout(rng.expovariate(SERVERS * RHO)).callbacks.append(arrive)
        if free:
            free -= 1
            begin(env.now)
        else:
            line.append(env.now)

    def end(_: Any) -> None:
        nonlocal free
        if line:
            begin(line.popleft())
        else:
            free += 1

    env.timeout(rng.expovariate(SERVERS * RHO)).callbacks.append(arrive)
    env.run()
    return statistics.fmean(waits)


def heap(customers: int, seed: int) -> float:
    rng, waits, line = random.Random(seed), list[float](), deque[float]()
    free, left = SERVERS, customers
    due: list[tuple[float, bool]] = [(rng.expovariate(SERVERS * RHO), True)]  # when, whether it is an arrival
    while due:
        now, arrives = heapq.heappop(due)
        if arrives:
            left -= 1
            if left:
                heapq.heappush(due, (now + rng.expovariate(SERVERS * RHO), True))
            line.append(now)
        else:
            free += 1
        if free and line:
            free -= 1
            waits.append(now - line.popleft())
            heapq.heappush(due, (now + rng.expovariate(1.0), False))
    return statistics.fmean(waits)


def with_ciw(customers: int, seed: int) -> float:
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(SERVERS * RHO)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[SERVERS],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(customers, method="Finish")
    return statistics.fmean(record.waiting_time for record in simulation.get_all_records())


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `least` is how many times as fast ours should be."""

    name: str
    model: Model
    least: float | None = None


ROWS: Final = (
    Row("simulator: production core, fifo", ours),
    Row("SimPy textbook: Resource and processes", textbook, 1.5),
    Row("Ciw", with_ciw, 3.0),
    Row("SimPy, callbacks instead of processes; no pool", callbacks),
    Row("heapq; no pool", heap),
)


def report_speed(console: Console, customers: int, turns: int) -> None:
    """Print customers per second of each, and how many times as fast ours is."""
    for row in ROWS:
        row.model(1000, 1)  # what is loaded once is loaded
    rates: dict[str, list[float]] = {row.name: [] for row in ROWS}
    waits: dict[str, list[float]] = {row.name: [] for row in ROWS}
    for seed in range(1, turns + 1):
        for row in ROWS:
            started_s = time.thread_time()  # of this thread: numpy's may spin
            waits[row.name].append(row.model(customers, seed))
            rates[row.name].append(customers / (time.thread_time() - started_s))
    theory_s = mmc(SERVERS, RHO).wait_s
    python = platform.python_version()
    title = f"Python {python}, M/M/{SERVERS} at rho {RHO}, {turns} turns of {customers} customers, CPU time, medians"
    table = Table(title=f"{title}; Erlang C: mean wait {theory_s:.4f} s")
    for heading in ("what", "customers/s", "ours is so many times as fast", "target", "mean wait, s"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in ROWS:
        ratio = statistics.median(a / b for a, b in zip(rates[ROWS[0].name], rates[row.name], strict=True))
        table.add_row(
            row.name,
            f"{statistics.median(rates[row.name]):,.0f}",
            "" if row is ROWS[0] else f"{ratio:.2f}",
            "" if row.least is None else f">= {row.least}",
            f"{statistics.fmean(waits[row.name]):.4f}",
        )
    console.print(table)


def report_memory(console: Console, customers: int) -> None:
    """Print the peak of memory for few and for many customers, records off."""
    table = Table(title="Memory at its peak while a run is under way, records off")
    table.add_column("customers", justify="right")
    table.add_column("MB", justify="right")
    for count in (customers // 10, customers):
        tracemalloc.start()
        ours(count, 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        table.add_row(f"{count:,}", f"{peak / 1e6:.2f}")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="some seconds instead of a minute; rougher")
    short = parser.parse_args(arguments).short
    console = Console(width=120)
    report_speed(console, customers=20_000 if short else 100_000, turns=3 if short else 7)
    report_memory(console, customers=100_000 if short else 400_000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
