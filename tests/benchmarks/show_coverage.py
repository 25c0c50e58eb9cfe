"""How often the intervals of a study cover the truth, and which overloads are found: for docs/measurements.md.

    python tests/benchmarks/show_coverage.py            # minutes
    python tests/benchmarks/show_coverage.py --short    # for CI: fails if over 10% of studies mislead
    python tests/benchmarks/show_coverage.py --means    # why intervals of means miss, and on which side

M/M/1 at rho 0.8, whose waits are known: P(W > t) = rho exp(-(1 - rho) t), with a mean service time of 1 s. A study
misleads if it gives an interval and the truth is not in it; one that is "too short" says so and does not mislead. The
runs are made by Lindley's recursion, in seconds, or by the simulator, in an hour; the intervals are those of a study.
Overloads are told for M/M/1 at loads near 1: beforehand, from the rates, and from what came of the runs alone.
"""

import argparse
import math
import sys
from collections.abc import Sequence

import numpy as np
from balancer_simulator import EndpointModel, Poisson, Policy, Requests, Scenario, run_study
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import KindRecord, Record
from balancer_simulator.scenario.workload import Kind
from balancer_simulator.studies.findings import intervals
from balancer_simulator.studies.parallel import Order, run_orders
from scipy.special import stdtrit

RHO = 0.8
TRUTH = {
    "wait_mean_s": RHO / (1 - RHO),
    "wait_p50_s": math.log(RHO / 0.5) / (1 - RHO),
    "wait_p99_s": math.log(RHO / 0.01) / (1 - RHO),
}
_BEGUN_S = 200.0  # left out: twice as long as the queue remembers, 1 / (1 - sqrt(rho))^2 = 90 s


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


def exact(horizon_s: float, rng: np.random.Generator) -> KindRecord:
    """Return a run of the same queue by Lindley's recursion: the last wait and the work, less the gap, or 0."""
    begun, count = round(RHO * _BEGUN_S), rng.poisson(RHO * horizon_s)
    steps = rng.exponential(1.0, begun + count) - rng.exponential(1 / RHO, begun + count)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    tally = CensoredHistogram()
    for wait_s in (walk - np.minimum.accumulate(walk))[begun:].tolist():
        tally.add(wait_s)
    tally.settle()
    return KindRecord("m/m/1", tally.count, 0, 0, tally, tally)


def mean_wait(horizon_s: float, rng: np.random.Generator) -> float:
    """Return the mean wait of such a run, without the tallies: for thousands of runs."""
    begun, count = round(RHO * _BEGUN_S), rng.poisson(RHO * horizon_s)
    steps = rng.exponential(1.0, begun + count) - rng.exponential(1 / RHO, begun + count)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    return float((walk - np.minimum.accumulate(walk))[begun:].mean())


def means(count: int) -> None:
    """Print how often Student's interval of the mean misses, on which side, and what a correction for skewness does.

    The mean of a short run is skewed: most runs see no busy spell, a few see a long one. So the mean of a few runs is
    mostly too small, and their deviation with it. Willink (2005) reaches further up for it.
    """
    truth = TRUTH["wait_mean_s"]
    print(
        "| horizon, s | replications | skewness of a run | right | below the truth | above | corrected: right | width |"
    )
    print(f"|{'---|' * 8}")
    for horizon_s in (500.0, 2000.0, 8000.0):
        for replications in (5, 20):
            rng = np.random.default_rng([round(horizon_s), replications])
            found = np.array([mean_wait(horizon_s, rng) for _ in range(count * replications)])
            runs = found.reshape(count, replications)
            middle, error = runs.mean(axis=1), runs.std(axis=1, ddof=1) / math.sqrt(replications)
            t = float(stdtrit(replications - 1, 0.975))
            low, high = middle - t * error, middle + t * error
            third = ((runs - middle[:, None]) ** 3).sum(axis=1) * replications / (replications - 1) / (replications - 2)
            bend = third / (error * math.sqrt(replications)) ** 3 / (6 * math.sqrt(replications))
            ends = [middle - error * (np.cbrt(1 + 6 * bend * (z - bend)) - 1) / (2 * bend) for z in (t, -t)]
            right = float(np.mean((low <= truth) & (truth <= high)))
            better = float(np.mean((ends[0] <= truth) & (truth <= ends[1])))
            skewness = float((((found - found.mean()) / found.std()) ** 3).mean())
            width = float(np.median((ends[1] - ends[0]) / (high - low)))
            print(
                f"| {horizon_s:g} | {replications} | {skewness:.1f} | {right:.1%} | {np.mean(high < truth):.1%} | "
                f"{np.mean(low > truth):.1%} | {better:.1%} | {width:.2f} |",
                flush=True,
            )


def simulated(horizon_s: float, count: int, jobs: int) -> list[Record]:
    """Return so many runs of the simulator."""
    scenario = queue(RHO, horizon_s, count)
    orders = [Order(scenario, Policy(strategy="fifo"), number) for number in range(count)]
    return run_orders(orders, jobs=jobs, registry=None, advance=lambda: None)


def row(count: int, horizon_s: float, replications: int, jobs: int, *, by_simulator: bool) -> float:
    """Print a row of the table, and return the largest part of studies that a figure of it misleads in."""
    number = count * replications
    rng = np.random.default_rng([round(horizon_s), replications])
    runs: Sequence[Record | KindRecord] = (
        simulated(horizon_s, number, jobs) if by_simulator else [exact(horizon_s, rng) for _ in range(number)]
    )
    found = [intervals(runs[first : first + replications]) for first in range(0, number, replications)]
    cells, worst = [], 0.0
    for name, truth in TRUTH.items():
        told = [figures[name] for figures in found if not figures[name].is_refused]
        right = sum(interval.low <= truth <= interval.high for interval in told)
        worst = max(worst, (len(told) - right) / count)
        cells.append(f"{right} of {len(told)} | {(len(told) - right) / count:.0%}")
    print(f"| {horizon_s:g} | {replications} | {' | '.join(cells)} |", flush=True)
    return worst


def overloads(count: int, jobs: int) -> None:
    """Print how many of `count` studies are said not to keep up, at loads near 1."""
    print("| rho | cannot, said beforehand | cannot, from the runs alone | may not, from the runs alone |")
    print(f"|{'---|' * 4}")
    for rho in (0.9, 0.95, 0.98, 1.0, 1.02, 1.1):
        beforehand = count if queue(rho, 2000.0, 3).is_beyond else 0
        runs = [run_study(queue(rho, 2000.0, 3, known=False, seed=s), ["fifo"], jobs=jobs) for s in range(count)]
        told = sum(not study.keeps_up("fifo") for study in runs)
        unsure = sum(study.may_not_keep_up("fifo") for study in runs)
        print(f"| {rho:.2f} | {beforehand} of {count} | {told} of {count} | {unsure} of {count} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--overloads", action="store_true", help="only these")
    parser.add_argument("--means", action="store_true", help="only why intervals of means miss, of 1000 studies a row")
    parser.add_argument("--simulator", action="store_true", help="make the runs by the simulator: an hour")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.overloads:
        overloads(60, given.jobs)
        return 0
    if given.means:
        means(1000)
        return 0
    horizons, counts = ((2000.0,), (5,)) if given.short else ((500.0, 2000.0, 8000.0, 32000.0), (5, 20))
    number = 30 if given.short else given.studies
    print("| horizon, s | replications | mean: right | misleads | p50: right | misleads | p99: right | misleads |")
    print(f"|{'---|' * 8}")
    worst = max(
        row(number, horizon_s, count, given.jobs, by_simulator=given.simulator)
        for horizon_s in horizons
        for count in counts
    )
    if given.short:
        allowed = 0.1 + 2 * math.sqrt(0.1 * 0.9 / number)  # of so few studies, chance has its part
        return int(worst > allowed)
    overloads(60, given.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
