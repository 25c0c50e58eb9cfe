"""What is compared with what: intervals, paired differences, rankings."""

import math
from functools import partial

import pytest
from balancer_simulator.report.terminal import print_study
from balancer_simulator.run.disciplines import BASELINES
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.workload import Batch, Closed, Stage
from balancer_simulator.studies.intervals import Pooled, difference_of, interval_of
from balancer_simulator.studies.study import all_policies, run_study
from scipy import stats

from balancer.errors import ConfigError
from tests.registered import NAMES
from tests.simulation.printed import printed
from tests.simulation.scenarios import arriving, endpoint

_WORK = {"kind": "exponential", "mean_s": 1.0}
_ENDPOINTS = [endpoint("http://quick/", speed=3.0), endpoint("http://slow/{1..3}")]
scenario = partial(arriving, 3.0, *_ENDPOINTS, work=_WORK, horizon_s=60.0, replications=4)


# -- intervals ----------------------------------------------------------------------------------------


def test_an_interval_is_students():
    values = [1.0, 2.0, 4.0, 9.0]
    expected = stats.t.interval(0.95, 3, loc=4.0, scale=stats.sem(values))
    interval = interval_of(values)
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert (interval.mean, interval.count) == (4.0, 4)
    assert interval.is_clear is (interval.low > 0)


def test_one_value_has_no_interval_and_no_values_nothing_at_all():
    assert math.isnan(interval_of([3.0]).half)
    assert not interval_of([3.0]).is_clear
    with pytest.raises(ValueError, match="at least one replication"):
        interval_of([])


def test_a_paired_difference_drops_what_both_have():
    common = [1.0, 10.0, 100.0, 1000.0]
    shifted = [value + 1 for value in common]
    difference = difference_of(*(Pooled(interval_of(each), "", tuple(each)) for each in (shifted, common)))
    assert difference.mean == pytest.approx(1.0)
    assert difference.half == pytest.approx(0.0, abs=1e-9)


# -- studies ------------------------------------------------------------------------------------------


def test_it_runs_what_the_scenario_says_or_what_it_is_told_or_everything():
    named = scenario(policies=["fifo", {"strategy": "p2c", "options": {"choices": 3}}], replications=1)
    assert run_study(named).policies == ["fifo", "p2c (choices=3)"]
    assert run_study(named, ["random", Policy(strategy="fifo", label="mine")]).policies == ["random", "mine"]
    assert run_study(scenario(replications=1)).policies == [*NAMES, *BASELINES]
    assert [policy.strategy for policy in all_policies()] == [*NAMES, *BASELINES]


def test_progress_is_told_before_the_first_run_and_after_each_and_loads_are_run_as_well():
    told: list[tuple[int, int]] = []
    study = run_study(
        scenario(loads=[0.2, 0.5], replications=2, warmup_s=0.0),
        ["fifo", "p2c"],
        progress=lambda *done: told.append(done),
    )
    assert told == [(number, 12) for number in range(13)]
    assert {load: list(table) for load, table in study.curves.items()} == {0.2: ["fifo", "p2c"], 0.5: ["fifo", "p2c"]}
    low, high = (sum(record.metrics["utilisation"] for record in study.curves[load]["fifo"]) / 2 for load in (0.2, 0.5))
    assert high > 1.5 * low
    shown = printed(study, print_study).partition(", by load")[2].split()
    assert (shown[:3], "0.2" in shown, "0.5" in shown) == (["load", "fifo", "p2c"], True, True)


@pytest.mark.parametrize(
    ("policies", "line"),
    [
        (["fif"], "policies: unknown strategy 'fif'; did you mean 'fifo'?"),
        (["old_queue"], "did you mean 'old_global_queue'?"),
        ([Policy(strategy="p2c", options={"choices": 0})], "policies: strategy 'p2c', option choices: found 0"),
        ([Policy(strategy="always_first", options={"x": 1})], "'always_first' is a baseline and has no options"),
    ],
)
def test_mistakes_are_found_before_anything_runs(policies, line):
    def never(done: int, total: int) -> None:
        raise AssertionError("something ran")

    with pytest.raises(ConfigError) as caught:
        run_study(scenario(), policies, progress=never)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    "workload", [Closed(workers=1), Batch(samples=1, stages=[Stage(name="s", tasks=1, workers=1)])]
)
def test_only_an_open_workload_has_a_load(workload):
    with pytest.raises(ConfigError, match="has no offered load"):
        run_study(scenario(workload=workload, loads=[0.5]), ["fifo"])


@pytest.fixture(scope="module")
def study():
    return run_study(scenario(), ["fifo", "least_in_flight", "always_first"])


def test_the_ranking_is_by_the_mean_and_differences_are_paired(study):
    ranking = study.ranking("sojourn_mean_s")
    means = [study.metric(policy, "sojourn_mean_s").mean for policy in ranking]
    assert means == sorted(means)
    best, worst = ranking[0], ranking[-1]
    difference = study.difference(worst, best, "sojourn_mean_s")
    assert difference.mean == pytest.approx(means[-1] - means[0])
    each = [a.metrics["sojourn_mean_s"] - b.metrics["sojourn_mean_s"]
            for a, b in zip(study.records[worst], study.records[best], strict=True)]  # fmt: skip
    assert difference.half == pytest.approx(interval_of(each).half)


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (lambda: run_study(scenario(), ["fifo"], jobs=0), "jobs is 0; it must be >= 1"),
        (lambda: scenario(warmup_s=60.0), "warmup_s is 60 and horizon_s 60"),
    ],
)
def test_what_does_not_fit_is_one_line(run, line):
    with pytest.raises(ValueError, match=line):
        run()
