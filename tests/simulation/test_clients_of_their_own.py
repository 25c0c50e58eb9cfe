"""Clients and servers of their own mind: patience, retrials, bulks, halts; in a cluster, and beside all other rules."""

from typing import Any

import pytest
from balancer_simulator import Poisson, Scenario, run_study
from balancer_simulator.studies.ranking import of_the_runs

from tests.simulation.scenarios import at, closed, endpoint, run, times

_EXPONENTIAL = {"kind": "exponential", "mean_s": 1.0}
_CONSTANT = {"kind": "deterministic", "mean_s": 1.0}


def stubborn(**retrial: Any) -> dict[str, Any]:
    return {"retrial": {"pause": _CONSTANT, **retrial}}


def everything(**values: Any) -> Scenario:
    crash = {"kind": "crash_repair", "mtbf_s": 20.0, "mttr_s": 2.0, "work": "repeats"}
    usual: dict[str, Any] = {
        "workload": {"kind": "poisson", "rate_per_s": 3.0, "bulk": {"mean": 2.0}},
        "endpoints": [
            endpoint("http://{1..2}", capacity=2, faults=[crash]),
            endpoint("http://3", faults=[{"kind": "vacation", "length": _EXPONENTIAL}, {"kind": "fail_within"}]),
        ],
        "requests": {
            "kinds": [{"name": "a", "patience": _EXPONENTIAL}, {"name": "b", "priority": 1}],
            "retrial": {"pause": _EXPONENTIAL, "most": 2},
            "retry_pause_s": 0.125,
        },
        "horizon_s": 60.0,
    }
    return Scenario.model_validate({**usual, **values})


# -- to the second ----------------------------------------------------------------------------------


def test_who_finds_no_place_comes_back_after_a_pause() -> None:
    """It arrives at 0.5, comes back at 1.5 and 2.5, when the slot is free; its sojourn is from its first arrival."""
    record = run(at([0.0, 0.5], [2.25, 1.0], max_waiters=0, requests=stubborn()))
    assert times(record) == [(0.0, 2.25), (2.5, 3.5)]
    assert record.sojourn.most == 3.0
    assert (record.completed, record.lost, record.timed_out) == (2, 0, 0)


@pytest.mark.parametrize(("retrial", "ends"), [({"most": 2}, 2.5), ({"most": 2, "factor": 3.0}, 4.5)])
def test_who_came_back_often_enough_gives_up(retrial: dict[str, Any], ends: float) -> None:
    record = run(closed(1, 0.0, 1.0, endpoint(), max_waiters=0, requests=stubborn(**retrial), horizon_s=10.0))
    assert record.lost + record.timed_out == 0
    busy = at([0.0, 0.5], [9.0, 1.0], max_waiters=0, requests=stubborn(**retrial))
    found = run(busy)
    assert (found.completed, found.timed_out) == (1, 1)
    free_then = run(at([0.0, 0.5], [ends, 1.0], max_waiters=0, requests=stubborn(**retrial)))
    assert free_then.completed == 2


def test_a_call_that_failed_at_every_attempt_comes_back_with_new_attempts() -> None:
    failing = endpoint(faults=[{"kind": "fail_within", "to_s": 4.0}])
    record = run(at([0.0], 1.0, failing, requests={"attempts": 2, **stubborn()}))
    # Two attempts, a pause, one more that fails, and the one that begins when the fault is over.
    assert times(record) == [(0.0, 1.0), (1.0, 2.0), (3.0, 4.0), (4.0, 5.0)]
    assert record.completed == 1


def test_the_shortest_job_is_next() -> None:
    record = run(at([0.0, 0.25, 0.5, 0.75], [1.0, 3.0, 2.0, 0.5]), "shortest_job_first")
    assert sorted(times(record)) == [(0.0, 1.0), (1.0, 1.5), (1.5, 3.5), (3.5, 6.5)]


def test_bulks_come_at_one_instant() -> None:
    workload = {"kind": "poisson", "rate_per_s": 8.0, "bulk": {"sizes": [4]}}
    record = run(
        Scenario.model_validate({"workload": workload, "endpoints": [endpoint(capacity=10_000)], "health": None})
    )
    starts = [begun for begun, _ in times(record)]
    assert len(starts) == pytest.approx(8000, rel=0.1)
    assert {starts.count(at_s) for at_s in starts[:400]} == {4}


def test_a_load_keeps_its_bulks() -> None:
    scenario = everything().at_load(0.5)
    assert isinstance(scenario.workload, Poisson)
    assert scenario.workload.bulk is not None


# -- beside everything else -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["fifo", "p2c", "always_first", "old_global_queue", "shortest_job_first"])
def test_every_request_ends_once(policy: str) -> None:
    record = run(
        everything(requests={"call_timeout_s": 3.0, **everything().requests.model_dump(exclude={"call_timeout_s"})}),
        policy,
    )
    assert record.arrived == record.completed + record.lost + record.timed_out + record.unfinished
    assert record.completed > 50


# -- what is said -----------------------------------------------------------------------------------


def test_a_group_that_does_not_overflow_is_named_if_requests_are_lost() -> None:
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
        assert any(line.startswith("groups: group 1 is used only if") for line in of_the_runs(study)) == told


@pytest.mark.parametrize(
    ("policy", "weight", "told"), [("round_robin", 2.0, True), ("round_robin", 1.0, False), ("p2c", 2.0, False)]
)
def test_weights_that_round_robin_ignores_are_named(policy: str, weight: float, told: bool) -> None:
    model = {"workload": {"kind": "poisson", "rate_per_s": 1.0}, "horizon_s": 20.0, "warmup_s": 0.0}
    endpoints = [endpoint("a", weight=weight), endpoint("b")]
    study = run_study(Scenario.model_validate({**model, "endpoints": endpoints}), [policy])
    assert any("round_robin ignores weights" in line for line in of_the_runs(study)) == told
