"""How fast the simulator is, beside models in SimPy and Ciw, in the same run.

    python -m tests.benchmarks.bench_simulator [--short]

All simulate an M/M/8 queue at rho 0.9. The simulator does it with the production core and the strategy `fifo`, as
scenarios are by default and with health off; the textbook model has a `Resource` and a process for each customer. They
take turns, in CPU time, and ratios are taken within a turn. Their mean waits are shown beside Erlang C's, so that
nobody is quick by being wrong. A second table has a request at 10, 1 000 and 10 000 endpoints, each with one slot and
as busy. A third one has the runs of a study in one process and in two, as with `--jobs 2`.
"""

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Final

import ciw  # type: ignore[import-untyped]
import simpy
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Poisson
from balancer_simulator.studies.parallel import Order, Simulators

from tests.benchmarks.harness import in_turns, options, show, timed
from tests.simulation.analytic import mmc

SERVERS: Final = 8
RHO: Final = 0.9
Model = Callable[[int, int], float]
"""Simulates so many customers with a seed, and returns their mean wait."""


def _records(orders: Sequence[Order], jobs: int) -> None:
    with Simulators(jobs) as simulators:
        simulators.records(orders)


def ours(customers: int, seed: int) -> float:
    return simulate_once(_scenario(customers, seed), FIFO).wait.mean


def without_health(customers: int, seed: int) -> float:
    return simulate_once(_scenario(customers, seed, health=None), FIFO).wait.mean


def _scenario(customers: int, seed: int, servers: int = SERVERS, **rules: Any) -> Scenario:
    rate = servers * RHO
    endpoints = [EndpointModel(url=f"http://10.0.0.0:{{1..{servers}}}/")]
    return Scenario(
        workload=Poisson(rate_per_s=rate), endpoints=endpoints, horizon_s=customers / rate, seed=seed, **rules
    )


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


OURS: Final = "simulator: production core, fifo, as scenarios are by default"
TEXTBOOK: Final = "SimPy textbook: Resource and processes"
FIFO: Final = Policy(strategy="fifo")
ROWS: Final[dict[str, tuple[Model, str]]] = {  # with how many times the speed of the textbook it should have
    OURS: (ours, ">= 1.0"),
    "the same with health off": (without_health, ">= 1.0"),
    TEXTBOOK: (textbook, ""),
    "Ciw": (with_ciw, ""),
}


def report_speed(customers: int, turns: int) -> None:
    """Print customers per second of each, and how many times the speed of the textbook model that is."""
    waits: dict[str, list[float]] = {name: [] for name in ROWS}

    def contender(name: str, model: Model) -> Callable[[], float]:
        model(1000, 1)  # what is loaded once is loaded
        return lambda: timed(lambda: waits[name].append(model(customers, 1 + len(waits[name]))))

    found = in_turns({name: contender(name, model) for name, (model, _) in ROWS.items()}, turns, warm=0)
    of = f"{turns} turns of {customers} customers, CPU time, medians"
    show(
        "what | customers/s | x textbook SimPy | target | mean wait, s",
        (
            (
                name,
                f"{customers / found.median(name):,.0f}",
                f"{found.ratio(TEXTBOOK, name):.2f}",
                target,
                f"{statistics.fmean(waits[name]):.4f}",
            )
            for name, (_, target) in ROWS.items()
        ),
        f"Python {platform.python_version()}, M/M/{SERVERS} at rho {RHO}, {of}; "
        f"Erlang C: mean wait {mmc(SERVERS, RHO).wait_s:.4f} s",
    )


def simulated(customers: int, servers: int) -> Callable[[], object]:
    """Return what simulates so many requests on so many endpoints."""
    scenario = _scenario(customers, 1, servers)
    return lambda: simulate_once(scenario, FIFO)


def report_growth(customers: int, turns: int) -> None:
    """Print what a request costs with many endpoints, beside one with ten."""

    contenders = {str(servers): partial(timed, simulated(customers, servers)) for servers in (10, 1_000, 10_000)}
    found = in_turns(contenders, turns)
    show(
        "endpoints | us a request | x ten endpoints | target",
        (
            (f"{int(name):,}", f"{found.median(name) / customers * 1e6:.2f}", f"{found.ratio(name, '10'):.2f}", target)
            for name, target in (("10", ""), ("1000", ""), ("10000", "<= 1.5"))
        ),
        f"A request of {customers:,}, the building of the endpoints included; {turns} turns, CPU time, medians",
    )


def report_jobs(customers: int, runs: int, turns: int) -> None:
    """Print what runs of a study cost in one process and in two, beside the textbook model in one.

    By CPU time, each process has a core for itself, and its start counts. By the clock, other programs count too.
    """

    orders = [Order(_scenario(customers, 1), FIFO, number) for number in range(runs)]

    def contender(act: Callable[[], object]) -> Callable[[], tuple[float, float]]:
        def run() -> tuple[float, float]:
            cpu_s = _cpu_s()
            wall_s = timed(act, time.perf_counter)
            return wall_s, _cpu_s() - cpu_s

        return run

    one, two, book = (
        contender(act)
        for act in (
            partial(_records, orders, 1),
            partial(_records, orders, 2),
            lambda: [textbook(customers, 1 + number) for number in range(runs)],
        )
    )
    found = [(one(), two(), book()) for _ in range(turns)]

    def ratio(name: int, to: int, clock: int, cores: int = 1) -> str:
        return f"{statistics.median(cores * turn[to][clock] / turn[name][clock] for turn in found):.2f}"

    show(
        "processes | x one process, by CPU | by the clock | x textbook SimPy, by CPU | by the clock | target",
        (
            ("1", "1.00", "1.00", ratio(0, 2, 1), ratio(0, 2, 0), ""),
            ("2", ratio(1, 0, 1, 2), ratio(1, 0, 0), ratio(1, 2, 1, 2), ratio(1, 2, 0), ">= 3"),
        ),
        f"Speed of {runs} runs of {customers:,} customers; {turns} turns, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.0f}",
    )


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def main() -> None:
    """Measure and print."""
    short = options(__doc__, "some seconds instead of a minute; rougher").short
    report_speed(customers=20_000 if short else 100_000, turns=3 if short else 7)
    report_growth(customers=100_000, turns=1 if short else 5)
    report_jobs(customers=100_000, runs=6 if short else 20, turns=1 if short else 3)


if __name__ == "__main__":
    main()
