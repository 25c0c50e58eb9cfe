"""How many independent observations the requests of a study count as."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from balancer_simulator import Record, run_study
from balancer_simulator.studies.intervals import independent
from balancer_simulator.studies.ranking import remarks

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


def test_runs_that_saw_no_busy_spell_give_no_p99():
    short = run_study(scenario(workload={"kind": "poisson", "rate_per_s": 0.9}, horizon_s=500.0), ["fifo"])
    assert short.metric("fifo", "wait_p99_s").is_refused
    assert any(line.startswith("short runs: ") for line in remarks(short))
    long = run_study(scenario(horizon_s=5000.0), ["fifo"])
    assert not long.metric("fifo", "wait_p90_s").is_refused
    assert not any(line.startswith("short runs: ") for line in remarks(long))
