"""The simulator against queueing theory: what is simulated must come out as mathematics says.

How far a mean may be off is not guessed: each figure is taken from several independent runs, and their own deviation
gives the standard error of the mean. It may be 4 of those off (with 8 runs Student's t is beyond 4 once in 200 times;
the seeds are fixed, so a test that passes goes on to pass), and whatever bias the theory is known to have. A standard
error must itself be small, so that no test passes because it knows nothing. And each test is its own counter-proof: the
same measurement must *not* agree with what theory says of calls that take 5% more or less.

The first seconds of a run, in which queues build up, are not counted. `make stress` makes the runs longer, and tries
more loads and more kinds of service.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from balancer_simulator import Scenario
from scipy.stats import ttest_rel

from tests.simulation.analytic import ClosedNetwork, closed_network, mg1, mm1, mmc, supermarket
from tests.simulation.scenarios import spans
from tests.simulation.theory import RUNS, exponential, hold, poisson, queues, runs, sojourns, sojourns_of_all, waits

pytestmark = pytest.mark.timeout(1200)  # for the long form; the normal one takes a quarter of a minute

_IN_FULL = os.environ.get("BALANCER_STRESS") == "1"

# -- one line ---------------------------------------------------------------------------------------


@pytest.mark.more
# One run of 200 000 customers at 0.9 has a deviation of 5%; 8 runs of 70 000 are 560 000, so a standard error of
# 5% / sqrt(2.8) = 3%. At 0.5 few wait at all, and a service that is 5% off changes the mean wait by 30%.
@pytest.mark.parametrize(("rho", "requests", "error"), [(0.5, 40_000, 0.04), (0.8, 40_000, 0.03), (0.9, 70_000, 0.04)])
def test_one_queue_for_eight_servers_is_erlangs(rho, requests, error, in_full):
    if in_full:  # ten runs of a million: 0.75% at 0.9
        requests, error = 1_000_000, 0.01
    scenario = poisson(8 * rho, requests, 200.0, endpoints=[{"url": "http://server-{1..8}/"}])
    records = runs(scenario, "fifo", 10 if in_full else RUNS)
    hold(waits(records), lambda s: mmc(8, rho * s, s).wait_s, error=error)
    hold(sojourns(records), lambda s: mmc(8, rho * s, s).sojourn_s, bias=0.001)
    if rho == 0.9:
        # A quantile is told from buckets 2.2% wide, and may be as much off.
        tails = [record.wait.quantile(0.9) for record in records]
        hold(tails, lambda s: mmc(8, rho * s, s).wait_quantile_s(0.9), error=error, bias=0.022)


def test_utilisation_and_throughput_are_those_of_the_arrivals():
    records = runs(poisson(5.6, 15_000, 50.0, endpoints=[{"url": "http://server-{1..8}/"}]), "fifo")
    hold([record.metrics["utilisation"] for record in records], lambda s: 0.7 * s, error=0.01)
    hold([record.metrics["throughput_per_s"] for record in records], lambda s: 5.6 / s, error=0.01)


@pytest.mark.more
def test_one_server_is_the_textbooks():
    # The asymptotic variance of the mean wait is rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4 = 336 at 0.7, so
    # 280 000 customers give a standard error of 0.035, which is 1.5% of 2.33.
    records = runs(poisson(0.7, 35_000, 200.0, endpoints=[{"url": "server"}]), "fifo")
    hold(waits(records), lambda s: mm1(0.7 * s, s).wait_s)
    hold([record.wait.quantile(0.9) for record in records], lambda s: mm1(0.7 * s, s).wait_quantile_s(0.9), bias=0.022)


# The mean wait is proportional to E[S^2], whose own standard error is sqrt(E[S^4] / E[S^2]^2 - 1) / sqrt(n): for the
# lognormal E[S^4] / E[S^2]^2 = (1 + cv^2)^4. With a cv of 1.5 it is 112, so that 400 000 customers give 1.7%; with a cv
# of 2 it is 625, so that 800 000 give 2.8%, whatever the queue adds.
_SERVICES: list[tuple[dict[str, Any], float, float, int, float]] = [
    ({"kind": "deterministic", "mean_s": 1.0}, 0.0, 0.7, 20_000, 0.02),
    ({"kind": "lognormal", "mean_s": 1.0, "cv": 1.5}, 2.25, 0.5, 50_000, 0.03),
]
if _IN_FULL:
    _SERVICES.append(({"kind": "lognormal", "mean_s": 1.0, "cv": 2.0}, 4.0, 0.5, 100_000, 0.04))


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("work", "scv", "rho", "requests", "error"), _SERVICES, ids=[str(work["kind"]) for work, *_ in _SERVICES]
)
def test_one_server_with_any_service_is_pollaczeks(work, scv, rho, requests, error):
    records = runs(poisson(rho, requests, 200.0, work=work, endpoints=[{"url": "server"}]), "fifo")
    hold(waits(records), lambda s: mg1(rho * s, s, scv=scv).wait_s, error=error)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "work",
    [
        {"kind": "deterministic", "mean_s": 1.0},
        exponential(),
        {"kind": "lognormal", "mean_s": 1.0, "cv": 2.0},
    ],
    ids=lambda work: str(work["kind"]),
)
def test_a_shared_core_does_not_care_how_work_is_distributed(work):
    # Kleinrock, Queueing Systems II (1976), section 4.4: M/G/1-PS has the mean sojourn s / (1 - rho) for every G.
    model = {"url": "server", "capacity": 10_000, "host": "machine"}
    scenario = poisson(0.7, 15_000, 300.0, work=work, endpoints=[model], hosts={"machine": {"cores": 1}})
    hold(sojourns(runs(scenario, "fifo")), lambda s: s / (1 - 0.7 * s), error=0.03)


# -- several lines ----------------------------------------------------------------------------------

# How much above the limit of infinitely many servers the truth is, as measured elsewhere with 10 runs of a million.
_FINITE = {
    100: {0.5: 0.0, 0.7: 0.0025, 0.9: 0.010, 0.95: 0.021},
    500: {0.5: 0.0, 0.7: 0.0005, 0.9: 0.0026, 0.95: 0.0056},
}


# Seconds of warm-up and of counting. The mean-field equations say how far the queues still are from where they settle:
# on average over the time that counts, 0.4% or less (it takes longest at 0.95: 0.4% from 100 s on).
_LOADS = [
    (100, 0.5, 15, 100, RUNS),
    (100, 0.9, 70, 220, RUNS),
    (500, 0.7, 25, 40, RUNS),
]
if _IN_FULL:
    _LOADS += [
        (100, 0.7, 25, 150, RUNS),
        (100, 0.95, 120, 320, RUNS),
        (500, 0.5, 15, 25, RUNS),
        (500, 0.9, 60, 40, 6),
        (500, 0.95, 100, 65, 6),
    ]


@pytest.mark.more
@pytest.mark.parametrize(("servers", "rho", "warmup_s", "counted_s", "count"), _LOADS)
def test_two_choices_are_the_supermarket_model(servers, rho, warmup_s, counted_s, count, in_full):
    error = 0.02
    if in_full:
        warmup_s, counted_s, count, error = 300, 1_000_000 / servers, 10, 0.005
    requests = round(rho * servers * counted_s)
    records = runs(poisson(rho * servers, requests, warmup_s, endpoints=queues(servers)), "p2c", count)

    def theory(s: float) -> float:
        return supermarket(2, rho * s, s).sojourn_s * (1 + _FINITE[servers][rho])

    hold(sojourns_of_all(records), theory, error=error, bias=0.004)


@pytest.mark.more
def test_more_knowledge_is_less_waiting():
    """One line for all <= the shortest line <= the shorter of two lines <= any line, on the same random numbers."""
    servers, rho = 10, 0.7
    rate, requests = rho * servers, 12_000
    lines = poisson(rate, requests, 100.0, endpoints=queues(servers))
    one_line = poisson(rate, requests, 100.0, endpoints=[{"url": f"http://server-{{1..{servers}}}/"}])
    found = [sojourns(runs(one_line, "fifo"))]
    found += [sojourns(runs(lines, policy)) for policy in ("least_in_flight", "p2c", "random")]
    for better, worse in pairwise(found):
        assert ttest_rel(worse, better, alternative="greater").pvalue < 0.0005
    hold(found[0], lambda s: mmc(servers, rho * s, s).sojourn_s, bias=0.001)
    # By chance each server gets a Poisson stream of its own: M/M/1, as many times as there are servers.
    hold(found[-1], lambda s: mm1(rho * s, s).sojourn_s, bias=0.002)


def test_a_random_choice_by_weight_splits_the_stream():
    """Each server is M/M/1 with its own part of the stream and its own speed."""
    weights, speeds, rate = (1.0, 2.0, 3.0), (0.5, 1.0, 4.0), 1.5
    models = [
        {"url": f"server-{n}", "capacity": 10_000, "parallel": 1, "weight": w, "speed": v}
        for n, (w, v) in enumerate(zip(weights, speeds, strict=True))
    ]
    records = runs(poisson(rate, 20_000, 100.0, endpoints=models), "random")
    for number, (weight, speed) in enumerate(zip(weights, speeds, strict=True)):
        rho = rate * weight / sum(weights) / speed
        of_server = [r.by_endpoint[number].busy_s / r.by_endpoint[number].calls for r in records]
        hold(of_server, lambda s: mm1(rho * s, s / speed).sojourn_s)  # noqa: B023


# -- a closed network -------------------------------------------------------------------------------


def busy_part(spans: Sequence[Any], from_s: float, to_s: float) -> float:
    """Return the part of the time in which at least one of `spans` was under way."""
    total, covered_s = 0.0, from_s
    for span in sorted(spans, key=lambda span: span.started_s):
        total += max(0.0, min(span.ended_s, to_s) - max(span.started_s, covered_s))
        covered_s = max(covered_s, min(span.ended_s, to_s))
    return total / (to_s - from_s)


@pytest.mark.more
@pytest.mark.sampled(1)
@pytest.mark.parametrize("think_s", [0.0, 2.0])
def test_workers_that_choose_at_random_are_a_closed_network(think_s):
    chances, speeds, workers = (0.2, 0.3, 0.5), (1.0, 1.5, 2.0), 5
    models = [
        {"url": f"server-{n}", "capacity": 100, "parallel": 1, "weight": chance, "speed": speed}
        for n, (chance, speed) in enumerate(zip(chances, speeds, strict=True))
    ]
    think = exponential(think_s) if think_s else {"kind": "deterministic", "mean_s": 0.0}
    scenario = Scenario.model_validate(
        {
            "workload": {"kind": "closed", "workers": workers, "think": think},
            "work": exponential(),
            "endpoints": models,
            "warmup_s": 50.0,
            "horizon_s": 9_050.0 if think_s else 6_050.0,
            "health": None,
        }
    )
    records = runs(scenario, "random")

    def network(*factors: float) -> ClosedNetwork:
        service_s = [factor / speed for factor, speed in zip(factors, speeds, strict=True)]
        return closed_network(workers, service_s, probabilities=chances, think_s=think_s)

    hold([r.metrics["throughput_per_s"] for r in records], lambda s: network(s, s, s).throughput, error=0.005, off=0.1)
    for number in range(len(models)):

        def alone(s: float, number: int = number) -> list[float]:
            """One station is off: if all were, the network without thought would only be slower, and as busy."""
            return [s if other == number else 1.0 for other in range(len(models))]

        parts, numbers = [], []
        for record in records:
            by_url = defaultdict(list)
            for span in spans(record):
                by_url[span.url].append(span)
            parts.append(busy_part(by_url[f"server-{number}"], scenario.warmup_s, scenario.horizon_s))
            numbers.append(record.by_endpoint[number].busy_s / record.measured_s)
        hold(parts, lambda s: network(*alone(s)).stations[number].utilisation)  # noqa: B023
        hold(numbers, lambda s: network(*alone(s)).stations[number].number)  # noqa: B023


# -- what comes, and what breaks --------------------------------------------------------------------


def test_bursts_come_at_their_mean_rate():
    # The rate is 10 or 1 with variance 19.4 and forgets itself in 1.2 s, which with the Poisson noise makes a variance
    # of 2 x 19.4 x 1.2 + 4.6 = 51 per second: 40 000 s give a standard error of 0.036, which is 0.8% of 4.6.
    workload = {"kind": "on_off", "on_rate_per_s": 10.0, "off_rate_per_s": 1.0, "on_s": 2.0, "off_s": 3.0}
    model = {"url": "server", "capacity": 1_000_000}
    scenario = Scenario.model_validate(
        {"workload": workload, "endpoints": [model], "horizon_s": 5000.0, "health": None}
    )
    rates = [(record.completed + record.unfinished) / record.measured_s for record in runs(scenario, "fifo")]
    hold(rates, lambda s: (10.0 * 2.0 + 1.0 * 3.0) / 5.0 / s, error=0.011)


@pytest.mark.more
def test_an_endpoint_is_up_as_much_as_its_faults_say():
    # 8 runs of 2500 s with 10 endpoints are 8000 failures: the part of the time that is lost to them has a standard
    # error of 0.8 x sqrt(2 / 8000) = 1.3% of itself; sampling at 200 000 instants adds sqrt(4 / 200 000) = 0.4%.
    mtbf_s, mttr_s = 20.0, 5.0
    crash = {"kind": "crash_repair", "mtbf_s": mtbf_s, "mttr_s": mttr_s, "refuse_s": 0.0}
    scenario = poisson(
        10.0,
        25_000,
        100.0,
        work={"kind": "deterministic", "mean_s": 1e-6},  # over before it could crash
        endpoints=[{"url": "http://server-{1..10}/", "capacity": 10_000, "faults": [crash]}],
        requests={"attempts": 1},
    )
    records = runs(scenario, "random")
    hold([record.metrics["lost"] for record in records], lambda s: mttr_s * s / (mtbf_s + mttr_s * s), off=0.15)
    up = [record.completed / (record.completed + record.lost) for record in records]
    hold(up, lambda s: mtbf_s / s / (mtbf_s / s + mttr_s), off=0.15)
