"""What is predicted from the beginning of a run comes true as often as it says, and nothing later is looked at."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Closed, EndpointModel, Lognormal, Poisson, Requests, Scenario
from balancer_simulator.fitting.calls import until
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.planning.predict import check, predict
from balancer_simulator.planning.predicted import prediction_of, sure_below

from balancer.errors import ConfigError
from tests.simulation.made_traces import made_trace, written

Command = Callable[..., tuple[int, str, str]]

_ENDPOINTS = [
    EndpointModel(url="http://a/", capacity=3, service=Lognormal(mean_s=0.05, cv=0.5)),
    EndpointModel(url="http://b/", capacity=4, parallel=2, service=Lognormal(mean_s=0.08, cv=0.5)),
]
_RUN = Scenario(
    workload=Closed(workers=10, calls=500),
    endpoints=_ENDPOINTS,
    requests=Requests(attempts=1),
    horizon_s=1e5,
    health=None,
)


@pytest.fixture(scope="module")
def trace():
    return made_trace(_RUN)


@pytest.mark.more
def test_most_intervals_hold_what_came_and_most_errors_are_small():
    held, errors = [], []
    for replication in range(6):
        found = check(made_trace(_RUN, replication=replication), [0.15, 0.4], draws=12)
        held += [test.prediction.figures["makespan_s"].holds(test.came["makespan_s"]) for test in found.tests]
        errors += [abs(test.error("makespan_s")) for test in found.tests]
    # 12 intervals of 95%: fewer than 9 hold it in one of 3000 such dozens.
    assert sum(held) >= 9
    assert float(np.median(errors)) < 0.05


def test_a_prediction_is_narrower_with_more_of_the_run_and_looks_at_nothing_later(trace):
    few, many = (
        predict(
            until(trace, at_s), len(trace.attempts) - sum(each.ended_s <= at_s for each in trace.attempts), draws=12
        )
        for at_s in (0.7, 4.0)
    )
    few_s, many_s = (each.figures["makespan_s"] for each in (few, many))
    assert few_s.high - few_s.low > 2 * (many_s.high - many_s.low)
    late = [each if each.granted_s < 0.7 else replace(each, ended_s=each.granted_s + 99.0) for each in trace.attempts]
    cut = until(trace, 0.7)
    assert predict(until(replace(trace, attempts=late), 0.7), 400, draws=5) == predict(cut, 400, draws=5)


def test_callers_who_come_anyway_are_predicted_by_their_rate():
    scenario = _RUN.changed(workload=Poisson(rate_per_s=40.0), horizon_s=20.0)
    (test,) = check(made_trace(scenario), [0.4], draws=10).tests
    assert abs(test.error("throughput_per_s")) < 0.2
    assert test.prediction.figures["wait_mean_s"].value < 0.05


@pytest.mark.more
def test_callers_who_come_faster_than_they_are_served_have_no_end():
    scenario = _RUN.changed(workload=Poisson(rate_per_s=400.0), horizon_s=3.0)
    with pytest.raises(ConfigError, match="so it has no end"):
        predict(made_trace(scenario), 2000, draws=5)


def test_parts_with_too_few_calls_are_left_out_and_none_at_all_is_an_error(trace):
    found = check(trace, [0.01, 0.4], draws=5)
    assert list(found.left_out) == [0.01]
    assert "5 calls had ended" in found.left_out[0.01]
    with pytest.raises(ConfigError, match="predictions from the trace cannot be checked: 5 calls"):
        check(trace, [0.01], draws=5)


def test_an_interval_allows_for_few_draws_and_never_ends_before_now():
    few, many = prediction_of([10.0, 11.0, 12.0]), prediction_of([10.0, 11.0, 12.0] * 20)
    assert few.high - few.low > 2 * (many.high - many.low)
    assert prediction_of([10.1, 10.2, 19.0], least=10.0).low > 10.0
    assert few.value < sure_below([10.0, 11.0, 12.0], 0.95) < few.high  # an interval has two ends
    with pytest.raises(ValueError, match="at least 2"):
        prediction_of([1.0])


def test_a_fit_is_held_against_the_trace_by_running_it(trace):
    for held in goodness_of_fit(fit_trace(trace)).calls:
        assert abs(held.off) < 0.15, held.endpoint
        assert held.at(0.5)[1] == pytest.approx(held.at(0.5)[0], rel=0.2)


# -- the commands -------------------------------------------------------------------------------------


def test_fit_writes_a_scenario_and_a_report(trace, tmp_path, command):
    out, folder = tmp_path / "fitted.toml", tmp_path / "report"
    code, said, _ = command("fit", str(written(trace, tmp_path)), "-o", str(out), "--report", str(folder), "--json")
    assert code == 0
    found = json.loads(said)
    assert found["errors"] == []
    assert found["callers"] == 10
    assert found["endpoints"]["http://b/"]["behaviour"] == "works on 2 at a time; the others wait in its queue"
    page = (folder / "fit.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "Not known" in page
    assert "# Fitted to trace.jsonl." in out.read_text(encoding="utf-8")


def test_a_check_says_what_came(trace, tmp_path, command):
    path = written(trace, tmp_path)
    code, said, _ = command("predict", str(path), "--check", "--part", "0.3", "--part", "0.01", "--draws", "5")
    assert code == 0
    assert "after 30% of the calls" in said
    assert said.count("; came ") == 4
    assert "after 1%: left out: 5 calls had ended" in said
    code, said, wrong = command("predict", str(path), "--check", "--load", "x2")
    assert (code, said) == (2, "")
    assert "--check: it compares TRACE with itself" in wrong


def test_fewer_than_no_calls_cannot_remain(trace):
    with pytest.raises(ConfigError, match="found remaining -1; it must be a whole number, 0 or more"):
        predict(trace, remaining=-1)


def test_a_trace_that_is_to_be_simulated_has_to_be_fitted_first(trace, tmp_path, command):
    code, _, wrong = command("simulate", str(written(trace, tmp_path)))
    assert code == 2
    assert "trace.jsonl: this is a trace; fit it first: balancer fit" in wrong
