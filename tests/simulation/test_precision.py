"""How long runs must be: independent observations, and runs that become longer by themselves."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from balancer_simulator import Record, run_study
from balancer_simulator.studies.intervals import Interval, independent
from balancer_simulator.studies.precision import LEAST_INDEPENDENT, first_look, times_longer
from balancer_simulator.studies.ranking import of_the_runs

from balancer.errors import ConfigError
from tests.simulation.scenarios import arriving


class Numbers:
    """Stands for a record that has numbers under way."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = tuple(numbers)


def of(runs: Any) -> list[Record]:
    return [Numbers(run) for run in runs]


scenario = partial(arriving, 0.5, warmup_s=0.0)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_observations_that_depend_on_the_last_one_count_less(memory):
    """An AR(1) process: n of them count as n (1 - memory) / (1 + memory), whatever trend all runs have."""
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(10, 2000))
    for now in range(1, 2000):
        runs[:, now] += memory * runs[:, now - 1]
    trend = np.linspace(0.0, 100.0, 2000)
    expected = 20_000 * (1 - memory) / (1 + memory)
    assert independent(of(runs)) == pytest.approx(expected, rel=0.2)
    assert independent(of(runs + trend)) == pytest.approx(independent(of(runs)))


@pytest.mark.parametrize("runs", [[[1, 2, 3]], [[], []], [[2, 2, 2], [2, 2, 2]]], ids=["one", "none", "all alike"])
def test_without_a_scatter_nothing_is_known(runs):
    assert independent(of(runs)) == math.inf


def test_each_replication_is_independent_at_least():
    assert independent(of([[number] * 50 for number in range(7)])) == 7.0


def test_runs_that_saw_no_busy_spell_give_no_p99():
    short = run_study(scenario(workload={"kind": "poisson", "rate_per_s": 0.9}, horizon_s=500.0), ["fifo"])
    assert short.metric("fifo", "wait_p99_s").is_refused
    assert any(line.startswith("short runs: ") for line in of_the_runs(short))
    long = run_study(scenario(horizon_s=5000.0), ["fifo"])
    assert not long.metric("fifo", "wait_p90_s").is_refused
    assert not any(line.startswith("short runs: ") for line in of_the_runs(long))


@pytest.mark.parametrize(
    ("half", "observations", "times"),
    [
        (0.04, 1000.0, 0.3),  # narrow, and by more than chance
        (0.04, 100.0, 3.0),  # narrow, but all alike
        (0.2, 1000.0, 17.6),  # four times too wide: sixteen times as long, and a margin
        (math.inf, 1000.0, math.inf),  # refused
        (0.0, math.inf, 0.0),
    ],
)
def test_runs_are_too_short_if_wide_or_alike(half, observations, times):
    assert times_longer(Interval(1.0, half, 10), observations, 0.05) == pytest.approx(times)


def test_runs_become_longer_until_the_mean_is_known():
    study = run_study(scenario(precision=0.1), ["fifo"])
    found = study.metric("fifo", "sojourn_mean_s")
    assert found.half <= 0.1 * found.mean
    assert found.low <= 2.0 <= found.high  # M/M/1 at 0.5
    assert study.scenario.replications == 10
    assert study.scenario.horizon_s >= 400.0
    assert study.independent("fifo") >= LEAST_INDEPENDENT
    assert any(line.startswith("precision: sojourn_mean_s is known to within 10%") for line in of_the_runs(study))


def test_longer_runs_are_those_that_a_scenario_of_that_length_has():
    study = run_study(scenario(precision=0.2, loads=[0.3]), ["fifo"])
    again = run_study(study.scenario.changed(precision=None), ["fifo"])
    assert study.metrics("fifo") == again.metrics("fifo")
    assert study.at_load(0.3).metrics("fifo") == again.at_load(0.3).metrics("fifo")


def test_a_load_that_is_too_much_is_not_waited_for():
    study = run_study(scenario(workload={"kind": "poisson", "rate_per_s": 2.0}, precision=0.01), ["fifo"])
    assert study.scenario.horizon_s == 100.0
    assert any("is not known to within 1%" in line for line in of_the_runs(study))


@pytest.mark.parametrize(
    "values",
    [
        {"workload": {"kind": "closed", "workers": 1, "calls": 3}, "warmup_s": 0.0},
        {"workload": {"kind": "arrivals", "at_s": [1.0]}},
        {"changes": [{"at_s": 5.0, "do": "drain", "url": "a"}]},
    ],
    ids=["an end", "a record", "an instant"],
)
def test_longer_runs_that_would_be_about_something_else_are_refused(values):
    with pytest.raises(ConfigError, match="precision: it makes the runs longer, and here "):
        first_look(scenario(precision=0.1, **values))
