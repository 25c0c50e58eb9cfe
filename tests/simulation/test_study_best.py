"""A study says which policies are best, and gives its part at one load as a study of its own."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from balancer_simulator import Closed, EndpointModel, Poisson, Scenario, Study, run_study

_ENDPOINTS = [EndpointModel(url="http://{1..2}/")]


def _study(makespans: dict[str, Sequence[float]]) -> Study:
    scenario = Scenario(workload=Closed(workers=1), endpoints=_ENDPOINTS, horizon_s=5.0, replications=1)
    record = run_study(scenario, ["fifo"]).records["fifo"][0]
    return Study(
        scenario, {policy: tuple(replace(record, makespan_s=s) for s in found) for policy, found in makespans.items()}
    )


def test_the_best_comes_first_and_then_who_cannot_be_told_apart() -> None:
    # Differences to the best: 2, -1, 1 and so 0.67 +- 3.8, which holds 0; of the last 20 each time.
    study = _study({"worse": [30.0, 31.0, 32.0], "alike": [12.0, 10.0, 13.0], "best": [10.0, 11.0, 12.0]})
    assert study.best("makespan_s") == ["best", "alike"]


def test_with_one_replication_nobody_can_be_told_apart() -> None:
    assert _study({"slow": [20.0], "quick": [10.0]}).best("makespan_s") == ["quick", "slow"]


def test_a_load_is_a_study_with_its_own_records() -> None:
    scenario = Scenario(
        workload=Poisson(rate_per_s=1.0), endpoints=_ENDPOINTS, horizon_s=50.0, replications=2, loads=[0.2, 0.9]
    )
    study = run_study(scenario, ["fifo", "random"])
    busy = study.at_load(0.9)
    assert busy.records is study.curves[0.9]
    assert busy.scenario.workload == Poisson(rate_per_s=1.8)  # 0.9 of the two calls per second that are possible
    assert busy.metric("fifo", "wait_mean_s").mean > study.at_load(0.2).metric("fifo", "wait_mean_s").mean
    with pytest.raises(KeyError):
        study.at_load(0.5)
