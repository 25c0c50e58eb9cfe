"""How often the intervals of a study cover the truth, and which overloads are found: for docs/measurements.md.

    python tests/benchmarks/show_coverage.py             # minutes: loads of 0.8, 0.9 and 0.95
    python tests/benchmarks/show_coverage.py --short     # for CI: fails if over 10% of studies mislead
    python tests/benchmarks/show_coverage.py --precision # runs that become longer by themselves, and what a p99 takes
    python tests/benchmarks/show_coverage.py --means     # why intervals of means miss, and on which side
    python tests/benchmarks/show_coverage.py --overloads

M/M/1, whose waits are known: P(W > t) = rho exp(-(1 - rho) t), with a mean service time of 1 s. A study misleads if it
gives an interval and the truth is not in it; one that is "too short" says so and does not mislead. The runs are made by
Lindley's recursion, in seconds, or by the simulator, in hours; the intervals are those of a study. "Before" is without
the test for independent observations. Overloads are told for M/M/1 at loads near 1: beforehand, from the rates, and
from what came of the runs alone.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from balancer_simulator import EndpointModel, Poisson, Policy, Requests, Scenario, run_study
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import KindRecord, Record
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.workload import Kind
from balancer_simulator.studies.findings import intervals
from balancer_simulator.studies.intervals import independent
from balancer_simulator.studies.parallel import Order, run_orders
from balancer_simulator.studies.precision import times_longer
from scipy.special import stdtrit

RHO = 0.8  # of --short, --means and --simulator
_LOOKS = 512


def truth_of(rho: float) -> dict[str, float]:
    """Return the waits of M/M/1."""
    quantiles = {f"wait_p{round(100 * q)}_s": math.log(rho / (1 - q)) / (1 - rho) for q in (0.5, 0.99)}
    return {"wait_mean_s": rho / (1 - rho), **quantiles}


def begun_s(rho: float) -> float:
    """Return how much is left out: twice as long as the queue remembers."""
    return 2 / (1 - math.sqrt(rho)) ** 2


def queue(rho: float, horizon_s: float, replications: int, *, known: bool = True, seed: int = 1) -> Scenario:
    """Return M/M/1; unless `known`, with a time-out that never comes, so that nothing can be said beforehand."""
    kind = Kind() if known else Kind(acquire_timeout_s=1e9)
    return Scenario(
        workload=Poisson(rate_per_s=rho),
        endpoints=[EndpointModel(url="http://m-m-1/")],
        requests=Requests(kinds=[kind]),
        horizon_s=begun_s(rho) + horizon_s,
        warmup_s=begun_s(rho),
        replications=replications,
        seed=seed,
        health=None,
    )


def waits_and_numbers(rho: float, horizon_s: float, seeds: Sequence[int]) -> tuple[Floats, tuple[int, ...]]:
    """Return the waits of a run, and the number under way at some instants.

    Lindley's recursion: a wait is the last one and the work, less the gap, or 0. A longer run begins as a shorter one.
    """
    from_s, to_s = begun_s(rho), begun_s(rho) + horizon_s
    count = round(rho * to_s + 6 * math.sqrt(rho * to_s)) + 20
    gaps, works = (
        np.random.default_rng([*seeds, which]).exponential(mean, count) for which, mean in ((1, 1 / rho), (2, 1.0))
    )
    walk = np.concatenate([[0.0], np.cumsum(works[:-1] - gaps[1:])])
    waits = walk - np.minimum.accumulate(walk)
    came = np.cumsum(gaps)
    at_s = from_s + (np.arange(_LOOKS) + 0.5) * horizon_s / _LOOKS
    numbers = np.searchsorted(came, at_s) - np.searchsorted(came + waits + works, at_s)
    return waits[(came >= from_s) & (came < to_s)], tuple(numbers.tolist())


def exact(rho: float, horizon_s: float, seeds: Sequence[int]) -> KindRecord:
    """Return a run of the same queue, made in no time."""
    waits, numbers = waits_and_numbers(rho, horizon_s, seeds)
    tally = CensoredHistogram()
    for wait_s in waits.tolist():
        tally.add(wait_s)
    tally.settle()
    return KindRecord("m/m/1", tally.count, 0, 0, tally, tally, numbers)


def mean_wait(horizon_s: float, rng: np.random.Generator) -> float:
    """Return the mean wait of such a run, without the tallies: for thousands of runs."""
    return float(waits_and_numbers(RHO, horizon_s, rng.integers(1 << 30, size=2).tolist())[0].mean())


def means(count: int) -> None:
    """Print how often Student's interval of the mean misses, on which side, and what a correction for skewness does.

    The mean of a short run is skewed: most runs see no busy spell, a few see a long one. So the mean of a few runs is
    mostly too small, and their deviation with it. Willink (2005) reaches further up for it.
    """
    truth = truth_of(RHO)["wait_mean_s"]
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


def row(rho: float, count: int, horizon_s: float, replications: int, by_simulator: int) -> float:
    """Print a row of the table, and return the largest part of studies that a figure of it misleads in."""
    number = count * replications
    runs: Sequence[Record | KindRecord] = (
        simulated(horizon_s, number, by_simulator)
        if by_simulator
        else [exact(rho, horizon_s, [round(100 * rho), round(horizon_s), replications, n]) for n in range(number)]
    )
    groups = [runs[first : first + replications] for first in range(0, number, replications)]
    before = [intervals([replace(run, numbers=()) for run in group]) for group in groups]
    after = [intervals(group) for group in groups]
    cells, worst = [], 0.0
    for name, truth in truth_of(rho).items():
        for found in (after,) if name == "wait_mean_s" else (before, after):
            told = [figures[name] for figures in found if not figures[name].is_refused]
            right = sum(interval.low <= truth <= interval.high for interval in told)
            cells.append(f"{right} of {len(told)}")
        worst = max(worst, (len(told) - right) / count)
    few = sum(independent(group) < 100 for group in groups)
    print(f"| {rho:g} | {horizon_s:g} | {replications} | {' | '.join(cells)} | {few} |", flush=True)
    return worst


def lengthened(rho: float, count: int, name: str, precision: float) -> None:
    """Print how often runs that were made longer until `name` is known to `precision` hold, and how long they were.

    `Study`'s rule (`studies.precision`), from 500 s on, with ten replications.
    """
    right = known = 0
    requests = []
    for study in range(count):
        horizon_s = 500.0
        while True:
            group = [exact(rho, horizon_s, [round(100 * rho), 7, study, n]) for n in range(10)]
            came = sum(run.completed for run in group)
            interval = intervals(group)[name]
            times = times_longer(interval, independent(group), precision)
            if times <= 1:
                break
            horizon_s *= min(8.0, max(2.0, times))
        truth = truth_of(rho)[name]
        right += interval.low <= truth <= interval.high
        known += abs(interval.mean - truth) <= precision * truth
        requests.append(came)
    print(
        f"| {rho:g} | {name} | {precision:.0%} | {right} of {count} | {known} of {count} | "
        f"{np.median(requests):,.0f} |",
        flush=True,
    )


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
    parser.add_argument("--precision", action="store_true", help="only runs that become longer by themselves")
    parser.add_argument("--simulator", action="store_true", help="make the runs by the simulator, at 0.8: hours")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--rho", type=float, action="append", help="default: 0.8, 0.9 and 0.95")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    loads = given.rho or [0.8, 0.9, 0.95]
    if given.overloads:
        overloads(60, given.jobs)
        return 0
    if given.means:
        means(1000)
        return 0
    if given.precision:
        print("| rho | figure | precision | interval right | within it | requests |")
        print(f"|{'---|' * 6}")
        for rho in loads:
            lengthened(rho, given.studies, "wait_mean_s", 0.05)
            lengthened(rho, given.studies, "wait_p99_s", 1.0)  # as soon as it is given
            lengthened(rho, given.studies, "wait_p99_s", 0.1)
        return 0
    horizons, counts = ((2000.0,), (5,)) if given.short else ((500.0, 2000.0, 8000.0, 32000.0), (5, 20))
    number = 30 if given.short else given.studies
    print(
        "| rho | horizon, s | replications | mean: right | p50: right before | after | p99: right before | after | "
        "called short |"
    )
    print(f"|{'---|' * 9}")
    worst = max(
        row(rho, number, horizon_s, count, given.jobs if given.simulator else 0)
        for rho in ([RHO] if given.short or given.simulator else loads)
        for horizon_s in horizons
        for count in counts
    )
    if given.short:
        allowed = 0.1 + 2 * math.sqrt(0.1 * 0.9 / number)  # of so few studies, chance has its part
        return int(worst > allowed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
