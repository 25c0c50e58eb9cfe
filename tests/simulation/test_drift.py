"""Times that change in the course of a trace: what is seen, fitted and said; and steady ones are left alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balancer_simulator import EndpointModel, Lognormal, Scenario, SlowSpells
from balancer_simulator.fitting.callers import load_shape
from balancer_simulator.fitting.description import fit_lines
from balancer_simulator.fitting.drift import drift_of, spells_of
from balancer_simulator.fitting.fit import Fit, fit_trace
from balancer_simulator.scenario.distributions import Deterministic, Floats

from balancer.observing.traces import Attempt, Trace
from tests.simulation.hidden_truths import findings, hidden_truth, steady
from tests.simulation.made_traces import made_trace


def _times(count: int, seed: int, sigma: float = 0.4) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(0.05, count)), rng.normal(0.0, sigma, count)


def test_steady_times_raise_no_alarm():
    assert sum(drift_of(*_times(400, seed)) is not None for seed in range(100)) <= 5


def test_a_step_is_dated_and_a_leak_is_measured():
    at_s, log = _times(2000, 1)
    step = drift_of(at_s, np.where(at_s > 60.0, log + np.log(1.5), log))
    assert step is not None
    assert step.kind == "step"
    assert (step.since_s, step.ratio) == (pytest.approx(60.0, abs=3.0), pytest.approx(1.5, rel=0.1))
    leak = drift_of(at_s, log + 0.5 * at_s / at_s[-1])
    assert leak is not None
    assert (leak.kind, leak.ratio) == ("trend", pytest.approx(np.exp(0.5), rel=0.1))


def test_a_change_that_harms_nobody_is_not_told():
    at_s, log = _times(20_000, 2)
    assert drift_of(at_s, np.where(at_s > 500.0, log + 0.06, log)) is None


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_spells_are_found_call_by_call(factor):
    at_s, log = _times(3000, 3)
    slow = at_s % 20.0 > 15.0
    found = spells_of(at_s, np.where(slow, log + np.log(factor), log), float(at_s[-1]))
    assert found is not None
    (kind,) = found.kinds
    assert kind.factor == pytest.approx(factor, rel=0.06)
    assert (found.between_s, kind.lasts_s) == (pytest.approx(15.0, rel=0.08), pytest.approx(5.0, rel=0.08))
    assert (found.fixed, kind.fixed) == (True, True)
    assert ((found.slower > 1) == slow).mean() > 0.97
    assert found.seen_s[0] == (pytest.approx(15.0, abs=1.0), pytest.approx(20.0, abs=1.0), kind.factor)


def test_spells_of_two_kinds_are_told_apart_and_one_kind_is_not():
    at_s, log = _times(6000, 3)
    number = at_s // 20.0
    factor = np.where(at_s % 20.0 < 15.0, 1.0, np.where(number % 3 == 1, 6.0, 1.8))
    found = spells_of(at_s, log + np.log(factor), float(at_s[-1]))
    assert found is not None
    assert [each.factor for each in found.kinds] == pytest.approx([1.8, 6.0], rel=0.1)
    assert [each.lasts_s for each in found.kinds] == pytest.approx([5.0, 5.0], rel=0.1)
    assert found.share == pytest.approx(1 / 3, abs=0.05)
    assert np.abs(np.log(found.slower / factor)).mean() < 0.05
    alike = spells_of(at_s, np.where(factor > 1, log + 1.0, log), float(at_s[-1]))
    assert alike is not None
    assert len(alike.kinds) == 1


def test_steady_times_have_no_spells_whatever_their_shape():
    rng = np.random.default_rng(4)
    at_s = np.cumsum(rng.exponential(0.05, 1500))
    for log in (np.log(rng.exponential(1.0, 1500)), rng.choice([0.0, 2.0], 1500) + rng.normal(0, 0.1, 1500)):
        assert spells_of(at_s, log, float(at_s[-1])) is None


_SERVICE = Lognormal(mean_s=0.15, cv=0.5)
_SPELLS = SlowSpells(factor=3.0, between=Deterministic(mean_s=9.0), lasts=Deterministic(mean_s=3.0))


def _fit(*endpoints: EndpointModel, **values: Any) -> Fit:
    workload = {"kind": "poisson", "rate_per_s": 30.0}
    fields = {"workload": workload, "horizon_s": 60.0, "health": None, "requests": {"attempts": 1}, **values}
    return fit_trace(made_trace(Scenario.model_validate({"endpoints": list(endpoints), **fields})))


def test_a_fit_has_the_spells_and_its_times_are_those_between_them():
    slow = EndpointModel(url="http://slow/", capacity=4, service=_SERVICE, faults=[_SPELLS])
    fit = _fit(slow, slow.model_copy(update={"url": "http://steady/", "faults": []}))
    (found,) = fit.scenario().by_url["http://slow/"].faults
    assert isinstance(found, SlowSpells)
    assert found.factor == pytest.approx(3.0, rel=0.1)
    assert (found.between.mean_s, found.lasts.mean_s) == (pytest.approx(9.0, rel=0.1), pytest.approx(3.0, rel=0.1))
    for name in fit.endpoints:
        assert fit.endpoints[name].tried.behaviour.name == "free"
        assert fit.times.of[name][0].mean() == pytest.approx(0.15, rel=0.07)
    assert fit.scenario().by_url["http://steady/"].faults == []
    assert any("slow spells: 3" in line or "slow spells: 2.9" in line for line in fit_lines(fit))


def test_what_the_data_do_not_carry_is_said_and_not_fitted():
    steady = made_trace(
        Scenario.model_validate(
            {
                "workload": {"kind": "poisson", "rate_per_s": 20.0},
                "endpoints": [EndpointModel(url="http://a/", capacity=90, service=_SERVICE)],
                "horizon_s": 50.0,
            }
        )
    )
    once = [
        replace(each, ended_s=each.granted_s + 3 * each.held_s) if 10 < each.granted_s < 16 else each
        for each in steady.attempts
    ]
    fit = fit_trace(replace(steady, attempts=once))
    assert fit.endpoints["http://a/"].spells is None
    assert any(line.startswith("NOT STATIONARY: http://a/: its times vary") for line in fit_lines(fit))
    late = [
        replace(each, ended_s=each.granted_s + 2 * each.held_s) if each.granted_s > 30 else each
        for each in steady.attempts
    ]
    lines = list(fit_lines(fit_trace(replace(steady, attempts=late))))
    assert any("http://a/: since 30" in line or "http://a/: since 29" in line for line in lines), lines


def test_the_shape_of_the_load_is_told():
    rng = np.random.default_rng(6)
    even = [load_shape(np.sort(rng.uniform(0.0, 100.0, 3000))) for _ in range(50)]
    assert sum(each is not None for each in even) <= 2
    grows = load_shape(100.0 * np.sort(rng.uniform(0.0, 1.0, 3000)) ** 0.5)
    assert grows is not None
    assert grows.kind == "trend"
    assert grows.most_per_s > 2 * grows.least_per_s
    hours = rng.choice(24, 6000, p=np.repeat([0.01, 0.07], [16, 8]) / 0.72) + 24 * rng.integers(0, 4, 6000)
    daily = load_shape(np.sort(3600.0 * (hours + rng.random(6000))))
    assert daily is not None
    assert daily.kind == "daily"


# -- outages --------------------------------------------------------------------------------------------


def test_outages_are_not_as_long_as_the_pool_did_not_look():
    """The endpoint is down for 2 s of 20; the pool looks again 8 s after each begin."""
    rows = []
    for n in range(4000):
        at_s = 0.05 * n
        since_s = at_s % 20.0
        if 0.1 <= since_s < 8.0:
            continue
        outcome = "failure" if since_s < 0.1 else "success"
        rows.append(Attempt("r", n, at_s, at_s, at_s + (0.001 if outcome == "failure" else 0.04), "a", outcome=outcome))
        if since_s < 0.1:
            rows.append(replace(rows[-1], attempt=n + 10_000))
    found = fit_trace(Trace(attempts=rows)).endpoints["a"].troubles
    assert len(found.outages) == 10
    assert found.mttr_s is not None
    assert found.mttr_s < 4.0  # half of the time in which nobody looked


# -- hidden truths ----------------------------------------------------------------------------------------


@pytest.mark.more
def test_most_parameters_of_hidden_truths_are_found():
    found = [each for number in range(4) for each in findings(hidden_truth(number, series=3))]
    certain = [each for each in found if each.fitted is not None and not each.kind.startswith("outage")]
    assert len(certain) > 20
    assert sum(each.found for each in certain) >= 0.85 * len(certain)


@pytest.mark.more
def test_steady_truths_rarely_raise_an_alarm():
    assert steady(20, series=5) <= 0.1
