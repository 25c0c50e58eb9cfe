"""Refusals are fitted: the limit, the rest they ask for, and what runs of the fit do; a fit that is off is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balancer_simulator import EndpointModel, Goal, Lognormal, Scenario, plan
from balancer_simulator.fitting.description import fit_lines, unknown
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.scenario.endpoints import FailWithin

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Happening, Trace
from tests.simulation.made_traces import made_trace

_SERVICE = Lognormal(mean_s=0.2, cv=0.4)
_BUSY = EndpointModel(
    url="http://busy/", capacity=12, refuse_beyond=8, retry_after_s=0.3, refuse_s=0.02, service=_SERVICE
)
_OTHER = EndpointModel(url="http://other/", capacity=6, service=_SERVICE)


def _scenario(*endpoints: EndpointModel, **values: Any) -> Scenario:
    fields = {"workload": {"kind": "closed", "workers": 20, "calls": 380}, "horizon_s": 1e5, **values}
    return Scenario.model_validate({"endpoints": list(endpoints), **fields})


@pytest.fixture(scope="module")
def trace():
    return made_trace(_scenario(_BUSY, _OTHER))


def test_a_server_that_refuses_beyond_a_number_is_fitted_as_such(trace):
    assert 50 < sum(each.outcome == "overload" for each in trace.attempts) < 150
    fit = fit_trace(trace)
    found = fit.scenario().by_url["http://busy/"]
    assert (found.refuse_beyond, found.retry_after_s, found.refuse_s) == (8, 0.3, pytest.approx(0.02))
    assert fit.endpoints["http://busy/"].tried.behaviour.name == "free"
    assert any("refuses calls beyond 8 at once" in line and "a rest of 0.3 s" in line for line in fit_lines(fit))
    assert fit.scenario().by_url["http://other/"].refuse_beyond is None
    check = goodness_of_fit(fit)
    assert not check.off()
    assert check.figures[-1].fitted == pytest.approx(check.figures[-1].measured, rel=0.15)


def test_the_order_of_a_log_tells_nothing_of_calls_that_begin_together(trace):
    by_end = replace(trace, attempts=sorted(trace.attempts, key=lambda each: each.ended_s))
    assert fit_trace(by_end).endpoints["http://busy/"].tried.behaviour.name == "free"


def test_refusals_that_no_limit_explains_are_failures_and_that_is_said():
    rng = np.random.default_rng(3)
    attempts = [
        replace(each, outcome="overload", ended_s=each.granted_s + 0.01) if rng.random() < 0.2 else each
        for each in made_trace(_scenario(_OTHER)).attempts
    ]
    fit = fit_trace(Trace(attempts=attempts))
    (found,) = fit.scenario().endpoints
    assert found.refuse_beyond is None
    (fault,) = found.faults
    assert isinstance(fault, FailWithin)
    assert fault.after_s is not None
    assert fault.probability == pytest.approx(0.2, abs=0.07)
    assert any("no number at once explains them" in line for line in unknown(fit))


def test_a_row_of_503_by_an_idle_server_is_an_outage():
    calls = made_trace(_scenario(_OTHER, workload={"kind": "poisson", "rate_per_s": 12.0}, horizon_s=40.0)).attempts
    down = [
        replace(each, outcome="overload", ended_s=each.granted_s + 0.002) if 10 < each.granted_s < 16 else each
        for each in calls
    ]
    (outage,) = fit_trace(Trace(attempts=down)).endpoints["http://other/"].troubles.outages
    assert outage.to_s - outage.from_s == pytest.approx(6.0, abs=0.5)


def _unlike() -> Trace:
    """Return calls of a caller who waits a quarter of a second for something that no row tells."""
    return Trace(
        attempts=[
            Attempt("r", n, 0.5 * n, 0.5 * n + 0.25, 0.5 * n + 0.45, "http://a/", task="one", outcome="success")
            for n in range(200)
        ]
    )


def test_a_fit_that_is_off_is_said_first_and_nothing_is_planned_on_it():
    fit = fit_trace(_unlike())
    check = goodness_of_fit(fit)
    first, *others = check.lines()
    assert first.startswith("THE FIT IS OFF")
    assert any("the mean wait: 0.25 s in the trace, 0 s in runs of the fit (-100%)" in line for line in others)
    with pytest.raises(ConfigError, match=r"the fit of the trace is off: the mean wait: 0\.25 s .*--anyway"):
        plan(fit, Goal(deadline_s=60.0), draws=5)
    assert plan(fit, Goal(deadline_s=60.0), draws=5, anyway=True).tried


def test_retries_among_recorded_arrivals_are_not_made_again():
    made = made_trace(_scenario(_OTHER, workload={"kind": "poisson", "rate_per_s": 12.0}, horizon_s=20.0))
    fit = fit_trace(replace(made, events=[Happening("made", 1.0, "retried", "http://other/")]))
    assert fit.scenario().requests.attempts == 1
