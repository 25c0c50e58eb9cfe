"""Baselines and strategies beside all that a scenario may have at once, and what a study says of groups and weights."""

from typing import Any

import pytest
from balancer_simulator import Scenario, run_study
from balancer_simulator.studies.ranking import remarks

from tests.simulation.scenarios import endpoint, run


def everything(**values: Any) -> Scenario:
    crash = {"kind": "crash_repair", "mtbf_s": 20.0, "mttr_s": 2.0}
    usual: dict[str, Any] = {
        "workload": {"kind": "poisson", "rate_per_s": 3.0},
        "endpoints": [
            endpoint("http://{1..2}", capacity=2, faults=[crash]),
            endpoint("http://3", faults=[{"kind": "slow_within", "factor": 2.0}, {"kind": "fail_within"}]),
        ],
        "requests": {
            "kinds": [{"name": "a", "acquire_timeout_s": 1.0}, {"name": "b", "priority": 1}],
        },
        "retries": {"base_s": 0.125},
        "horizon_s": 60.0,
    }
    return Scenario.model_validate({**usual, **values})


# -- beside everything else -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["fifo", "p2c", "always_first", "old_global_queue"])
def test_every_request_ends_once(policy):
    record = run(
        everything(requests={"call_timeout_s": 3.0, **everything().requests.model_dump(exclude={"call_timeout_s"})}),
        policy,
    )
    assert record.arrived == record.completed + record.lost + record.timed_out + record.unfinished
    assert record.completed > 50


# -- what is said -----------------------------------------------------------------------------------


def test_a_group_that_does_not_overflow_is_named_if_requests_are_lost():
    values: dict[str, Any] = {
        "workload": {"kind": "poisson", "rate_per_s": 3.0},
        "endpoints": [endpoint("a"), endpoint("b", group=1)],
        "max_waiters": 1,
        "horizon_s": 50.0,
        "warmup_s": 0.0,
    }
    quiet = {**values, "workload": {"kind": "poisson", "rate_per_s": 0.01}, "max_waiters": 9}
    for given, told in ((values, True), ({**values, "spill_after_s": 0.0}, False), (quiet, False)):
        study = run_study(Scenario.model_validate(given), ["fifo"])
        assert any(line.startswith("groups: group 1 is used only if") for line in remarks(study)) == told


@pytest.mark.parametrize(
    ("policy", "weight", "told"), [("round_robin", 2.0, True), ("round_robin", 1.0, False), ("p2c", 2.0, False)]
)
def test_weights_that_round_robin_ignores_are_named(policy, weight, told):
    model = {"workload": {"kind": "poisson", "rate_per_s": 1.0}, "horizon_s": 20.0, "warmup_s": 0.0}
    endpoints = [endpoint("a", weight=weight), endpoint("b")]
    study = run_study(Scenario.model_validate({**model, "endpoints": endpoints}), [policy])
    assert any("round_robin ignores weights" in line for line in remarks(study)) == told
