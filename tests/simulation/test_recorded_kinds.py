"""Arrivals may come with their kinds, as a recorded trace does; then nothing is drawn by the shares."""

from typing import Any

import pytest
from balancer_simulator import Scenario
from pydantic import ValidationError

from tests.simulation.scenarios import calls, endpoint, run

_WORK = {"kind": "deterministic", "mean_s": 2.0}
_PAIR = [endpoint("a", labels=["a"]), endpoint("b", labels=["b"])]


def _recorded(kinds: list[int], **arrivals: Any) -> Scenario:
    workload = {"kind": "arrivals", "at_s": [0.0, 8.0, 16.0, 24.0], "kinds": kinds, **arrivals}
    requests = {"kinds": [{"name": "a", "labels": ["a"]}, {"name": "b", "labels": ["b"], "work": _WORK, "share": 1e-9}]}
    return Scenario.model_validate(
        {"workload": workload, "endpoints": _PAIR, "requests": requests, "work": {**_WORK, "mean_s": 1.0}}
    )


def test_each_arrival_is_of_its_kind_and_takes_the_work_of_that():
    record = run(_recorded([1, 0, 0, 1]))
    assert [(url, start_s, end_s) for _, url, start_s, end_s, _ in calls(record)] == [
        ("b", 0.0, 2.0),
        ("a", 8.0, 9.0),
        ("a", 16.0, 17.0),
        ("b", 24.0, 26.0),
    ]


def test_works_that_are_given_go_before_those_of_the_kind():
    record = run(_recorded([1, 0, 0, 1], work_s=[4.0, 3.0, 2.0, 1.0]))
    assert [(url, end_s - start_s) for _, url, start_s, end_s, _ in calls(record)] == [
        ("b", 4.0),
        ("a", 3.0),
        ("a", 2.0),
        ("b", 1.0),
    ]


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [
        ([0, 1], "kinds has 2 values and at_s has 4; give one for each"),
        ([0, 1, 2, 0], "workload.kinds: found 2, but requests.kinds has 2; the first is 0"),
        ([0, 1, -1, 0], "greater than or equal to 0"),
    ],
)
def test_kinds_that_cannot_be_are_refused(kinds, problem):
    with pytest.raises(ValidationError, match=problem):
        _recorded(kinds)
