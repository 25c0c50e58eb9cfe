"""A study says no more than its runs bear out: quantiles, samples, warm-up, loads that nobody could carry."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from balancer_simulator import Record, Scenario, run_study
from balancer_simulator.report.export import to_data, to_json
from balancer_simulator.report.terminal import print_study
from balancer_simulator.run.times import Times
from balancer_simulator.studies.figures import worded
from balancer_simulator.studies.intervals import difference_of, pooled
from balancer_simulator.studies.warmup import settled_after, settles

from tests.simulation.printed import printed
from tests.simulation.scenarios import arriving, endpoint

scenario = partial(arriving, 0.5, horizon_s=400.0, warmup_s=0.0, replications=3)


class Ran:
    """Stands for a record that has waits."""

    def __init__(self, waits: list[float]) -> None:
        self.wait = self.sojourn = Times(waits)
        self.numbers: tuple[int, ...] = ()


def of(*runs: list[float]) -> list[Record]:
    return [Ran(run) for run in runs]


# -- quantiles --------------------------------------------------------------------------------------


def test_a_quantile_is_that_of_all_observations_together():
    rng = np.random.default_rng(1)
    runs = [rng.exponential(scale, 2000).tolist() for scale in (1.0, 1.0, 1.0, 5.0)]
    truth = float(np.quantile(np.concatenate(runs), 0.9))
    found = pooled(of(*runs), "wait_p90_s")
    assert found.interval.mean == pytest.approx(truth, rel=0.022)
    assert abs(np.mean(found.each) - truth) > 0.05 * truth, "the mean of quantiles would do as well"


@pytest.mark.parametrize(("key", "q"), [("wait_p50_s", 0.5), ("wait_p99_s", 0.99)])
def test_the_interval_covers_the_truth_in_nine_of_ten_studies(key, q):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        found = pooled(of(*(rng.exponential(1.0, 1000).tolist() for _ in range(5))), key)
        covered += bool(found.refusal) or found.interval.low <= -math.log1p(-q) <= found.interval.high
    assert covered >= 90


def test_too_few_observations_or_too_unlike_ones_are_too_short_for_a_p99():
    few = pooled(of([1.0] * 400, [1.0] * 400), "wait_p99_s")
    assert few.refusal == "800 observations; it needs at least 1000"
    # All long waits are of one run: the next one may have as many, or none.
    unlike = pooled(of([1.0] * 1000, [1.0] * 970 + [9.0] * 30, [1.0] * 1000), "wait_p99_s")
    assert unlike.refusal.endswith("differs too much from run to run; it needs runs about 19 times as long")
    assert not pooled(of([1.0] * 400, [1.0] * 400), "wait_p50_s").refusal


def test_a_difference_is_that_of_the_pooled_quantiles():
    rng = np.random.default_rng(3)
    runs = [rng.exponential(1.0, 1000) for _ in range(4)]
    one, two = (pooled(of(*((factor * run).tolist() for run in runs)), "wait_p50_s") for factor in (2.0, 1.0))
    found = difference_of(one, two)
    assert found.mean == one.interval.mean - two.interval.mean
    assert found.is_clear
    assert found.half < one.interval.half, "what is common does not drop out"


def test_a_study_shows_nothing_of_what_it_refuses_and_says_so():
    study = run_study(scenario(), ["fifo", "first"])
    assert set(study.too_short("fifo")) >= {"wait_p99_s", "sojourn_p99_s"}
    assert study.metrics("fifo")["sojourn_p99_s"].is_refused
    assert study.metric("fifo", "sojourn_p99_s").is_refused
    assert not study.metric("fifo", "sojourn_p50_s").is_refused
    assert worded(study.metric("fifo", "sojourn_p99_s"), "s") == "too short"
    assert not study.difference("fifo", "first", "sojourn_p99_s").is_clear
    assert set(study.best("sojourn_p99_s")) == {"fifo", "first"}
    data = to_data(study)
    assert "sojourn_p99_s" not in data["policies"]["fifo"]
    assert "sojourn_p99_s" in data["too_short"]["fifo"]
    assert "Infinity" not in to_json(study)


# -- one sample -------------------------------------------------------------------------------------

RECORDED: dict[str, Any] = {
    "kind": "arrivals",
    "at_s": [0.25 * n for n in range(1, 400)],
    "work_s": [0.125 + 0.25 * (n % 7) for n in range(1, 400)],
}


def recorded(**values: Any) -> Scenario:
    return scenario(workload={**RECORDED, **values}, endpoints=[endpoint("http://h-{1..4}/")])


def test_a_record_with_its_work_is_one_sample():
    study = run_study(recorded(), ["fifo"])
    assert study.scenario.is_one_sample
    assert not any(math.isfinite(interval.half) for interval in study.metrics("fifo").values())
    assert math.isnan(study.metric("fifo", "sojourn_mean_s").half)
    assert study.too_short("fifo")["sojourn_p99_s"].startswith("399 observations"), "copies do not count"


# -- warm-up ----------------------------------------------------------------------------------------


def test_the_beginning_is_left_out_until_it_has_settled():
    rng = np.random.default_rng(5)
    rising = [[int(100 * min(1.0, n / 200)) + int(rng.integers(0, 10)) for n in range(1000)] for _ in range(2)]
    found = settled_after(rising)
    assert found is not None
    assert 0.15 <= found <= 0.3
    level = settled_after([[int(rng.integers(0, 10)) for _ in range(1000)]])
    assert level is not None
    assert settled_after([list(range(1000))]) is None, "it grows for ever"


def test_a_study_finds_the_warm_up_once_for_all_policies():
    crowd = {"kind": "closed", "workers": 40, "think": {"kind": "exponential", "mean_s": 40.0}}
    # All think at first, so that the first minute is empty.
    study = run_study(scenario(workload=crowd, endpoints=[endpoint(capacity=40)], warmup_s=None), ["fifo", "first"])
    assert study.scenario.warmup_s is not None
    found = {record.measured_s for records in study.records.values() for record in records}
    assert found == {400.0 - study.scenario.warmup_s}


@pytest.mark.parametrize(
    "values",
    [
        {"warmup_s": 0.0},
        {"workload": RECORDED},
        {"workload": {"kind": "closed", "workers": 2, "calls": 5}},
        {"endpoints": [endpoint(faults=[{"kind": "slow_within", "from_s": 9.0, "to_s": 99.0}])]},
        {"endpoints": [endpoint(), endpoint("b", from_s=9.0)]},
        {"changes": [{"at_s": 9.0, "do": "drain", "url": "a"}]},
    ],
)
def test_what_is_given_or_asked_about_is_not_left_out(values):
    assert not settles(scenario(**{"warmup_s": None, **values}))
    assert settles(scenario(warmup_s=None))


# -- loads that nobody could carry ------------------------------------------------------------------


@pytest.mark.parametrize(("rho", "carried"), [(0.98, True), (1.0, False), (1.02, False)])
def test_as_much_as_all_can_do_is_too_much(rho, carried):
    study = run_study(scenario(workload={"kind": "poisson", "rate_per_s": rho}, horizon_s=60.0), ["fifo"])
    assert study.keeps_up("fifo") is carried


# With a time-out that never comes nothing can be said beforehand.
UNKNOWN: dict[str, Any] = {"requests": {"kinds": [{"acquire_timeout_s": 1e9}]}, "horizon_s": 1500.0}


@pytest.mark.parametrize(("rho", "known"), [(0.8, True), (1.0, False), (1.02, False)])
def test_near_one_a_study_says_that_it_does_not_know(rho, known):
    study = run_study(scenario(workload={"kind": "poisson", "rate_per_s": rho}, **UNKNOWN), ["fifo"])
    assert study.keeps_up("fifo")
    assert study.may_not_keep_up("fifo") is not known
    assert to_data(study)["keeps_up"] == {"fifo": True if known else None}
    assert ("may not keep up: as many wait" in printed(study, print_study)) is not known


@pytest.mark.parametrize("rho", [0.8, 1.02])
@pytest.mark.parametrize("where", ["in the server", "at the host"])
def test_a_queue_inside_a_server_is_one_as_well(rho, where):
    inside = {"parallel": 1} if where == "in the server" else {"host": "h"}
    values = {**UNKNOWN, "hosts": {} if where == "in the server" else {"h": {"cores": 1}}}
    asked = {"kind": "poisson", "rate_per_s": rho}
    study = run_study(scenario(workload=asked, endpoints=[endpoint(capacity=5000, **inside)], **values), ["fifo"])
    assert study.metric("fifo", "wait_max_s").mean == 0.0, "it waits for no lease"
    assert study.may_not_keep_up("fifo") is (rho > 1)


def test_who_gives_up_lets_a_queue_end():
    kinds = [{"name": "a", "acquire_timeout_s": 1.0}]
    assert not scenario(workload={"kind": "poisson", "rate_per_s": 2.0}, requests={"kinds": kinds}).is_beyond
