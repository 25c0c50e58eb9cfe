"""Failures, outages, refusals and slow spells of a trace are fitted; other changes, and a fit that is off, are said."""

from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Deterministic, EndpointModel, Goal, Lognormal, Scenario, SlowSpells, plan
from balancer_simulator.fitting.description import fit_lines, unknown
from balancer_simulator.fitting.drift import HARMLESS, drift_of, spells_of
from balancer_simulator.fitting.faults import rate_of
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.scenario.endpoints import FailWithin

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Happening, Trace
from tests.simulation.made_traces import made_trace

SERVICE = Lognormal(mean_s=0.15, cv=0.5)
OTHER = EndpointModel(url="http://other/", capacity=6, service=SERVICE)


def made(*endpoints, rate=30.0, **values):
    fields = {"workload": {"kind": "poisson", "rate_per_s": rate}, "horizon_s": 40.0, "health": None, **values}
    return made_trace(Scenario.model_validate({"requests": {"attempts": 1}, **fields, "endpoints": list(endpoints)}))


def faulty(*faults, **values):
    return EndpointModel.model_validate(
        {"url": "http://a/", "capacity": 9, "service": SERVICE, "faults": [*faults], **values}
    )


def only(fit, url="http://a/"):
    return fit.scenario().by_url[url]


# -- failures and outages -------------------------------------------------------------------------------


def test_a_row_of_failures_is_an_outage_and_single_ones_are_not():
    down = faulty({"kind": "fail_within", "from_s": 2.0, "to_s": 4.5, "after_s": 0.01})
    troubles = fit_trace(made(down, OTHER)).endpoints["http://a/"].troubles
    (outage,) = troubles.outages
    assert (outage.from_s, outage.to_s) == (pytest.approx(2.0, abs=0.3), pytest.approx(4.5, abs=0.3))
    assert (outage.over, troubles.quick_part) == (True, 0.0)
    retried = [Happening("made", 1.0, "retried", "http://a/")]  # recorded arrivals have retries among them
    single = fit_trace(replace(made(faulty({"kind": "fail_within", "probability": 0.1})), events=retried))
    assert single.scenario().requests.attempts == 1
    found = only(single).faults
    assert {each.kind for each in found} == {"fail_within"}
    assert sum(each.probability for each in found) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 1200))
    assert rate_of(0, 100.0) == pytest.approx(0.005)  # with a prior where none was seen
    drawn = [rate_of(2, 100.0, np.random.default_rng(n)) for n in range(400)]
    assert (np.mean(drawn), np.std(drawn)) == pytest.approx((0.025, 0.025 / np.sqrt(2.5)), rel=0.2)


def call(at_s, *, ok=True, held_s=0.1, endpoint="a"):
    return Attempt("r", 0, at_s, at_s, at_s + held_s, endpoint, outcome="success" if ok else "failure")


CALLS = [call(n / 2) for n in range(41)] + [call(30 + n / 2) for n in range(61)]  # none from 20.1 s to 30 s
REFUSED = [call(20.2 + n / 10, ok=False, held_s=0.001) for n in range(5)]


@pytest.mark.parametrize(
    ("calls", "events", "outages"),
    [
        (CALLS, [(20.3, "ejected", None), (29.9, "restored", None)], [(20.3, 29.9, True)]),
        ([*CALLS, *REFUSED], [(20.7, "ejected", None), (29.9, "restored", None)], [(20.7, 29.9, True)]),
        ([*CALLS, call(90, endpoint="b")], [(60.2, "ejected", None)], [(60.2, 90.1, False)]),  # it is not over
        (CALLS, [(20.3, "ejected", 10.0), (29.9, "restored", None)], []),  # a pool ejects for a set time
    ],
)
def test_an_outage_is_as_long_as_notices_of_a_proxy_say(calls, events, outages):
    told = [Happening("r", at_s, event, "a", value) for at_s, event, value in events]
    found = fit_trace(Trace(attempts=calls, events=told, ended={"r"})).endpoints["a"]
    assert [(each.from_s, each.to_s, each.over) for each in found.troubles.outages] == [
        (pytest.approx(from_s, abs=0.6), pytest.approx(to_s, abs=0.1), over) for from_s, to_s, over in outages
    ]
    assert (found.troubles.quick_part, len(found.sound)) == (0, len(CALLS))


# -- refusals -----------------------------------------------------------------------------------------


def test_a_server_that_refuses_beyond_a_number_is_fitted_as_such():
    busy = faulty(refuse_beyond=8, retry_after_s=0.3, refuse_s=0.02, capacity=12)
    closed = {"workload": {"kind": "closed", "workers": 20, "calls": 380}, "horizon_s": 1e5, "health": {}}
    trace = made(busy, OTHER, requests={"attempts": 3}, **closed)
    by_end = replace(trace, attempts=sorted(trace.attempts, key=lambda each: each.ended_s))  # as in a log
    for fit in map(fit_trace, (trace, by_end)):
        found = only(fit)
        assert (found.refuse_beyond, found.retry_after_s, found.refuse_s) == (8, 0.3, pytest.approx(0.02))
        assert fit.endpoints["http://a/"].tried.behaviour.name == "free"
        assert only(fit, "http://other/").refuse_beyond is None
    assert any("refuses calls beyond 8 at once" in line and "a rest of 0.3 s" in line for line in fit_lines(fit))
    assert not goodness_of_fit(fit).off()


def test_refusals_that_no_limit_explains_are_failures_and_a_row_of_them_is_an_outage():
    calls, rng = made(OTHER, rate=12.0).attempts, np.random.default_rng(3)
    some = [
        replace(each, outcome="overload", ended_s=each.granted_s + 0.01) if rng.random() < 0.2 else each
        for each in calls
    ]
    fit = fit_trace(Trace(attempts=some))
    quick = [each for each in only(fit, "http://other/").faults if isinstance(each, FailWithin)]
    assert sum(each.probability for each in quick) == pytest.approx(0.2, abs=0.07)
    assert any("no number at once explains them" in line for line in unknown(fit))
    down = [
        replace(each, outcome="overload", ended_s=each.granted_s + 0.002) if 10 < each.granted_s < 16 else each
        for each in calls
    ]
    (outage,) = fit_trace(Trace(attempts=down)).endpoints["http://other/"].troubles.outages
    assert outage.to_s - outage.from_s == pytest.approx(6.0, abs=0.5)


# -- changes in time ------------------------------------------------------------------------------------


def times(count, seed, sigma=0.4):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(0.05, count)), rng.normal(0.0, sigma, count)


def test_steady_times_raise_no_alarm_and_have_no_spells_whatever_their_shape():
    assert sum(drift_of(*times(400, seed)) is not None for seed in range(60)) <= 4
    rng = np.random.default_rng(4)
    at_s = np.cumsum(rng.exponential(0.05, 1500))
    for log in (np.log(rng.exponential(1.0, 1500)), rng.choice([0.0, 2.0], 1500) + rng.normal(0, 0.1, 1500)):
        assert spells_of(at_s, log, float(at_s[-1])) is None


def test_a_change_is_measured_and_one_that_harms_nobody_is_not_told():
    at_s, log = times(2000, 1)
    step = drift_of(at_s, np.where(at_s > 60.0, log + np.log(1.5), log))
    assert step.ratio == pytest.approx(1.5, rel=0.1)
    assert step.at_s > 60.0
    leak = drift_of(at_s, log + 0.5 * at_s / at_s[-1])
    assert 1.3 < leak.ratio < np.exp(0.5)
    assert leak.at_s > 0.7 * at_s[-1]
    at_s, log = times(20_000, 2)
    assert drift_of(at_s, np.where(at_s > 500.0, log + 0.06, log)).ratio < HARMLESS


@pytest.mark.parametrize("horizon_s", [60.0, pytest.param(300.0, marks=pytest.mark.more)])  # or several in each part
def test_a_fit_has_the_spells_and_its_times_are_those_between_them(horizon_s):
    spells = SlowSpells(factor=3.0, between=Deterministic(mean_s=9.0), lasts=Deterministic(mean_s=3.0))
    fit = fit_trace(made(faulty(spells), OTHER, horizon_s=horizon_s))
    (found,) = only(fit).faults
    assert (found.factor, found.between.mean_s, found.lasts.mean_s) == pytest.approx((3.0, 9.0, 3.0), rel=0.1)
    assert [each.tried.behaviour.name for each in fit.endpoints.values()] == ["free", "free"]
    assert [each[0].mean() for each in fit.times.values()] == pytest.approx([0.15, 0.15], rel=0.07)
    assert only(fit, "http://other/").faults == []
    assert any("slow spells: " in line for line in fit_lines(fit))


@pytest.mark.parametrize("slow", [(10.0, 16.0), (20.0, 99.0)])
def test_a_change_that_is_no_spells_is_said_and_not_fitted(slow):
    steady = made(faulty(capacity=90), rate=20.0)
    once = [
        replace(each, ended_s=each.granted_s + 3 * each.held_s) if slow[0] < each.granted_s < slow[1] else each
        for each in steady.attempts
    ]
    fit = fit_trace(replace(steady, attempts=once))
    assert (fit.endpoints["http://a/"].spells, only(fit).faults) == (None, [])
    assert any(line.startswith("NOT STATIONARY: http://a/: its times change") for line in fit_lines(fit))


# -- a fit that is off ------------------------------------------------------------------------------------


def test_a_fit_that_is_off_is_said_first_and_nothing_is_planned_on_it():
    """A caller waits a quarter of a second for something that no row tells."""
    attempts = [
        Attempt("r", n, 0.5 * n, 0.5 * n + 0.25, 0.5 * n + 0.45, "http://a/", task="one", outcome="success")
        for n in range(200)
    ]
    fit = fit_trace(Trace(attempts=attempts))
    first, *others = goodness_of_fit(fit).lines()
    assert first.startswith("THE FIT IS OFF")
    assert any("the mean wait: 0.25 in the trace, 0 in runs of the fit (-100%)" in line for line in others)
    with pytest.raises(ConfigError, match=r"the fit of the trace is off: the mean wait: 0\.25 in .*--anyway"):
        plan(fit, Goal(deadline_s=60.0), draws=5)
    assert plan(fit, Goal(deadline_s=60.0), draws=5, anyway=True).tried
