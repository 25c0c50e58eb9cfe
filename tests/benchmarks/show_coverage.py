"""How often the intervals of a study cover the truth, and how many overloads are found: tables for docs/simulator.md.

    python tests/benchmarks/show_coverage.py            # minutes
    python tests/benchmarks/show_coverage.py --short    # for CI: fails if over 10% of studies mislead

M/M/1 at rho 0.8, whose waits are known: P(W > t) = rho exp(-(1 - rho) t), with a mean service time of 1 s. A study
misleads if it gives an interval and the truth is not in it; one that is "too short" says so and does not mislead.
Overloads are told for M/M/1 at loads near 1: beforehand, from the rates, and from what came of the runs alone.
"""

import argparse
import math
import sys
from collections.abc import Iterator

from balancer_simulator import EndpointModel, Poisson, Policy, Requests, Scenario, run_study
from balancer_simulator.scenario.workload import Kind
from balancer_simulator.studies.parallel import Order, run_orders
from balancer_simulator.studies.study import Study

RHO = 0.8
TRUTH = {
    "wait_mean_s": RHO / (1 - RHO),
    "wait_p50_s": math.log(RHO / 0.5) / (1 - RHO),
    "wait_p99_s": math.log(RHO / 0.01) / (1 - RHO),
}
_BEGUN_S = 200.0  # left out: some 20 times as long as the queue remembers


def queue(rho: float, horizon_s: float, replications: int, *, known: bool = True, seed: int = 1) -> Scenario:
    """Return M/M/1; unless `known`, with a time-out that never comes, so that nothing can be said beforehand."""
    kind = Kind() if known else Kind(acquire_timeout_s=1e9)
    return Scenario(
        workload=Poisson(rate_per_s=rho),
        endpoints=[EndpointModel(url="http://m-m-1/")],
        requests=Requests(kinds=[kind]),
        horizon_s=_BEGUN_S + horizon_s,
        warmup_s=_BEGUN_S,
        replications=replications,
        seed=seed,
        health=None,
    )


def studies(count: int, horizon_s: float, replications: int, jobs: int) -> Iterator[Study]:
    """Yield so many studies; their runs are made together."""
    scenario = queue(RHO, horizon_s, count * replications)
    policy = Policy(strategy="fifo")
    orders = [Order(scenario, policy, number) for number in range(count * replications)]
    records = run_orders(orders, jobs=jobs, registry=None, advance=lambda: None)
    for first in range(0, len(records), replications):
        yield Study(scenario.changed(replications=replications), {"fifo": tuple(records[first : first + replications])})


def row(count: int, horizon_s: float, replications: int, jobs: int) -> float:
    """Print a row of the table, and return the largest part of studies that a figure of it misleads in."""
    found = list(studies(count, horizon_s, replications, jobs))
    cells, worst = [], 0.0
    for name, truth in TRUTH.items():
        told = [study.metrics("fifo")[name] for study in found if name in study.metrics("fifo")]
        right = sum(interval.low <= truth <= interval.high for interval in told)
        worst = max(worst, (len(told) - right) / count)
        part = f"{right / len(told):.0%} of {len(told)}" if told else "-"
        cells.append(f"{part}; {count - len(told)} too short; {len(told) - right} mislead")
    print(f"| {horizon_s:g} | {replications} | {' | '.join(cells)} |", flush=True)
    return worst


def overloads(count: int, jobs: int) -> None:
    """Print how many of `count` studies are said not to keep up, at loads near 1."""
    print("| rho | said beforehand | from the runs alone |\n|---|---|---|")
    for rho in (0.9, 0.98, 1.0, 1.02, 1.05):
        told = []
        for known in (True, False):
            flagged = 0
            for seed in range(count):
                study = run_study(queue(rho, 4000.0, 3, known=known, seed=seed), ["fifo"], jobs=1)
                flagged += not study.keeps_up("fifo")
            told.append(f"{flagged} of {count}")
        print(f"| {rho:.2f} | {' | '.join(told)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    horizons, counts = ((2000.0,), (5,)) if given.short else ((500.0, 2000.0, 8000.0), (5, 10))
    number = 30 if given.short else given.studies
    print("| horizon, s | replications | mean | p50 | p99 |\n|---|---|---|---|---|")
    worst = max(row(number, horizon_s, count, given.jobs) for horizon_s in horizons for count in counts)
    if given.short:
        allowed = 0.1 + 2 * math.sqrt(0.1 * 0.9 / number)  # of so few studies, chance has its part
        return int(worst > allowed)
    overloads(60, given.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
