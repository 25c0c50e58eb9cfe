"""Slow spells are drawn, each run begins anywhere in them, and nothing else in a run draws other numbers for them."""

from typing import Any

import numpy as np
import pytest
from balancer_simulator import Record, Scenario

from balancer.errors import ConfigError
from tests.simulation.scenarios import ONCE, endpoint, run, spans


def _exponential(mean_s: float) -> dict[str, Any]:
    return {"kind": "exponential", "mean_s": mean_s}


def _fixed(mean_s: float) -> dict[str, Any]:
    return {"kind": "deterministic", "mean_s": mean_s}


def _scenario(**spells: Any) -> Scenario:
    faults = [{"kind": "fail_within", "probability": 0.2}]
    slow = [{"kind": "slow_spells", "factor": 4.0, **spells}] if spells else []
    a = endpoint("a", capacity=50, service=_fixed(0.01), faults=[*faults, *slow])
    b = endpoint("b", capacity=50, service=_exponential(0.01), faults=faults)
    workload = {"kind": "poisson", "rate_per_s": 40.0}
    return Scenario.model_validate(
        {"workload": workload, "endpoints": [a, b], "horizon_s": 200.0, "health": None, "requests": ONCE}
    )


def _slow(record: Record, url: str = "a") -> list[tuple[float, bool]]:
    return sorted((span.started_s, span.ended_s - span.started_s > 0.02) for span in spans(record) if span.url == url)


def test_spells_last_as_long_and_come_as_often_as_asked():
    scenario = _scenario(between=_exponential(3.0), lasts=_exponential(1.0))
    slow = [each for number in range(3) for _, each in _slow(run(scenario, "random", number))]
    # Some 150 spells: their share of the time, 1/4, has a standard error of a tenth of that.
    assert np.mean(slow) == pytest.approx(0.25, rel=0.4)


def test_fixed_spells_begin_at_another_instant_in_each_run():
    scenario = _scenario(between=_fixed(15.0), lasts=_fixed(5.0))
    firsts = []
    for number in range(3):
        slow = _slow(run(scenario, "random", number))
        begins = [now for (now, is_slow), (_, was) in zip(slow[1:], slow, strict=False) if is_slow and not was]
        assert np.diff(begins) == pytest.approx(20.0, abs=1.0)
        firsts.append(begins[0])
    assert np.ptp(firsts) > 1.0


def test_all_else_stays_to_the_last_bit():
    plain, with_spells = (
        run(_scenario(**each), "round_robin") for each in ({}, {"between": _fixed(15.0), "lasts": _fixed(5.0)})
    )
    calls = [
        sorted((span.task, span.url, span.started_s, span.ok) for span in spans(record))
        for record in (plain, with_spells)
    ]
    assert calls[0][:5000] == calls[1][:5000]
    durations = [
        {span.task: span.ended_s - span.started_s for span in spans(record) if span.url == "b"}
        for record in (plain, with_spells)
    ]
    assert durations[0] == durations[1]


@pytest.mark.parametrize("name", ["between", "lasts"])
def test_spells_without_a_length_are_refused(name):
    spells = {"between": _fixed(1.0), "lasts": _fixed(1.0), name: _fixed(0.0)}
    with pytest.raises((ConfigError, ValueError), match=f"{name}: its mean is 0 s"):
        _scenario(**spells)
