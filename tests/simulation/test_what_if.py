"""What a change would do to the next run: beside today, on the same fits, with a refusal where it does not apply."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balancer_simulator import Closed, EndpointModel, Lognormal, Poisson, Requests, Scenario, WhatIf, predict
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.planning.predict import recorded_figures
from balancer_simulator.planning.predicted import Predicted
from balancer_simulator.planning.what_if import scaled_arrivals
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from tests.simulation.made_traces import made_trace, written

Command = Callable[..., tuple[int, str, str]]

_CLOSED = Scenario(
    workload=Closed(workers=6, calls=240),
    endpoints=[
        EndpointModel(url=f"http://{name}/", capacity=2, service=Lognormal(mean_s=0.1, cv=0.5)) for name in "ab"
    ],
    requests=Requests(attempts=1),
    horizon_s=1e5,
    health=None,
)
_FEW = 5


@pytest.fixture(scope="module")
def closed():
    return made_trace(_CLOSED)


@pytest.fixture(scope="module")
def opened():
    return made_trace(_CLOSED.changed(workload=Poisson(rate_per_s=25.0), horizon_s=10.0))


def mean(trace: Trace, name: str = "sojourn_mean_s", **change: Any) -> float:
    return predict(trace, change=WhatIf(**change), draws=_FEW).figures[name].value


def test_without_changes_it_is_todays_interval_and_holds_what_was_recorded(closed):
    now, then = predict(closed, draws=_FEW), predict(closed, change=WhatIf(callers=3), draws=_FEW)
    assert now.figures == then.today
    assert now.today == {}
    assert now.recorded == then.recorded == recorded_figures(fit_trace(closed))
    for name, came in now.recorded.items():
        assert now.figures[name].value == pytest.approx(came, rel=0.25, abs=0.01), name


def test_a_fit_that_is_off_is_said_first(closed):
    found = predict(closed, change=WhatIf(callers=3), draws=_FEW)
    assert found.off == ()
    assert found.outside() == {}
    assert "OFF" not in str(found)
    said = "THE FIT IS OFF: runs of it are unlike the trace, so do not plan with it"
    assert str(replace(found, off=(said,))).splitlines()[1] == said
    late = replace(found, recorded={**found.recorded, "makespan_s": 2 * found.today["makespan_s"].high})
    assert list(late.outside()) == ["makespan_s"]
    assert str(late).splitlines()[1].startswith("one run as it is would be unlike the record (makespan ")
    waited_s = found.today["wait_mean_s"].value + 0.1 * found.recorded["sojourn_mean_s"]
    near = replace(found, recorded={**found.recorded, "wait_mean_s": waited_s})
    assert "wait_mean_s" not in near.outside()  # a tenth of a call
    wide = Predicted(value=2.0, low=0.5, high=5.0)
    assert replace(found, today={"makespan_s": wide}, recorded={"makespan_s": 1.0}).outside() == {}  # it may be chance
    lost = replace(found, recorded={**found.recorded, "lost": 0.015})
    assert "lost" not in lost.outside()


def test_each_change_does_what_it_says(closed):
    today = mean(closed, "makespan_s")
    assert mean(closed, "makespan_s", callers=1) > 3 * today
    assert mean(closed, "makespan_s", without=("http://a",)) > 1.5 * today
    assert mean(closed, "makespan_s", add={"": 1}) < 0.8 * today
    assert mean(closed, "makespan_s", capacities={"http://a/": 1}) > 1.2 * today
    assert mean(closed, "wait_mean_s", settings={"max_waiters": 0}) == 0
    assert mean(closed, "makespan_s", slower={"http://a": 3.0}) > 1.2 * today


def test_shares_go_where_the_change_sends_them(closed):
    slow = predict(closed, change=WhatIf(slower={"http://a/": 4.0}), draws=_FEW)
    assert sum(slow.recorded_shares.values()) == pytest.approx(1.0)
    assert slow.today_shares["http://a/"].holds(slow.recorded_shares["http://a/"])
    assert slow.shares["http://a/"].value < 0.5 * slow.today_shares["http://a/"].value
    gone = predict(closed, change=WhatIf(gone={"http://a/": 2.0}, settings={"requests.attempts": 3}), draws=_FEW)
    assert gone.shares["http://a/"].value < 0.8 * gone.today_shares["http://a/"].value
    assert gone.figures["lost"].value < 0.05  # they are tried again elsewhere
    text = str(gone)
    assert "http://a/ gone after 2 s" in text
    assert "share of the calls, by endpoint" in text


def test_a_strategy_with_options_is_the_one_that_runs(closed):
    chosen = {"strategy": "p2c", "options.salt": "x"}
    with pytest.raises(ConfigError, match=r"--set: strategy 'p2c', option salt: unknown key"):
        predict(closed, change=WhatIf(settings=chosen), draws=_FEW)
    assert mean(closed, "makespan_s", settings={"strategy": "always_first"}) > 0


def test_more_load_is_slower_and_a_load_beyond_all_is_said(opened):
    today, less = mean(opened), mean(opened, load=0.4)
    found = predict(opened, change=WhatIf(load=2.5), draws=_FEW)
    assert less < today < found.figures["sojourn_mean_s"].value
    assert any("calls come faster than they are served" in line for line in found.remarks)
    assert predict(opened, draws=_FEW).remarks == ()


# -- outages, slow spells and arrivals as they came ---------------------------------------------------


@pytest.fixture(scope="module")
def one_outage():
    """25 calls a second, of which one endpoint alone can do 20; b was down from 3 s to 6 s of 60."""
    down = {"kind": "fail_within", "after_s": 0.01, "from_s": 3.0, "to_s": 6.0}
    endpoints = [_CLOSED.endpoints[0], EndpointModel(**{**_CLOSED.endpoints[1].model_dump(), "faults": [down]})]
    return made_trace(
        _CLOSED.changed(workload=Poisson(rate_per_s=25.0), endpoints=endpoints, horizon_s=60.0, health={}, seed=2)
    )


def test_recorded_outages_come_at_their_instants_and_without_outages_none_does(one_outage):
    fit = fit_trace(one_outage)
    drawn, recorded, none = (
        {fault.kind: fault for fault in fit.scenario(troubles=each).by_url["http://b/"].faults}
        for each in ("drawn", "recorded", "none")
    )
    assert (set(drawn), set(none)) == ({"crash_repair"}, set())
    outage = recorded["fail_within"]
    assert (outage.from_s, outage.to_s) == (pytest.approx(3.0, abs=0.3), pytest.approx(7.0, abs=1.5))


@pytest.mark.more
def test_one_outage_in_the_trace_and_often_none_in_the_next_run_is_said_with_what_it_would_cost(
    one_outage,
):
    drawn = predict(one_outage, draws=8)
    recorded = predict(one_outage, change=WhatIf(troubles="recorded"), draws=8)
    came = recorded_figures(fit_trace(one_outage))
    name = "wait_p99_s"
    assert drawn.repeated[name] == recorded.figures[name]
    assert "with those of the trace, at the same instants: " in str(drawn)
    assert recorded.repeated == {}
    assert recorded.today == {}  # nothing is changed
    assert drawn.figures[name].value < 0.7 * recorded.figures[name].value
    assert recorded.figures[name].holds(came[name])
    without = predict(one_outage, change=WhatIf(troubles="none"), draws=_FEW)
    assert without.changes == ("without outages",)
    assert "the next run: without outages\n" in str(without)
    assert without.figures[name].value < without.today[name].high


def test_this_day_again_has_the_arrivals_as_they_came(one_outage):
    again = predict(one_outage, change=WhatIf(again=True, capacities={"http://a/": 3}), draws=_FEW)
    assert again.changes == ("http://a/ with 3 slots",)
    last_s = max(each.asked_s for each in one_outage.attempts)
    ends = again.today["makespan_s"]
    assert abs(ends.low - last_s) < 1.5 > abs(ends.high - last_s)
    assert again.today["throughput_per_s"].value == pytest.approx(again.recorded["throughput_per_s"], rel=0.03)
    nothing = predict(one_outage, change=WhatIf(again=True, troubles="none"), draws=_FEW)
    assert nothing.today == again.today
    assert nothing.figures["wait_p99_s"].value < 0.5 * nothing.today["wait_p99_s"].value


@settings(max_examples=25, deadline=None)
@given(load=st.floats(0.05, 4.0), seed=st.integers(0, 1000))
def test_scaled_arrivals_are_so_many_and_as_they_were_recorded(load, seed):
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(0.1, 400))
    found = scaled_arrivals(at_s - at_s[0], load, np.random.default_rng(seed))
    assert abs(len(found) - load * 400) < 5 * np.sqrt(400 * (load % 1.0) * (1 - load % 1.0)) + 1
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] < 1.01 * at_s[-1]


def test_a_copy_of_the_arrivals_keeps_their_slow_changes():
    at_s = np.concatenate([np.linspace(0.0, 500.0, 100), np.linspace(500.5, 1000.0, 1000)])
    twice = scaled_arrivals(at_s, 2.0, np.random.default_rng(1))
    assert (twice < 450).sum() == pytest.approx(2 * (at_s < 450).sum(), rel=0.2)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"load": 2.0}, r"--load: 6 callers wait for their answers .*; use --callers"),
        ({"callers": 0}, "--callers: found 0"),
        ({"without": ("http://c/",)}, "--without: there is no endpoint 'http://c/'; there are http://a/, http://b/"),
        ({"without": ("http://a/", "http://a")}, "--without: http://a/ is listed twice"),
        ({"without": ("http://a/", "http://b/")}, "--without: no endpoint is left"),
        ({"without": ("http://a/",), "capacities": {"http://a/": 2}}, "--capacity: http://a/ is left out"),
        ({"capacities": {"http://a/": 0}}, "--capacity: found 0"),
        ({"slower": {"http://a/": 0.0}}, "--slower: found 0"),
        ({"gone": {"http://a/": -1.0}}, "--gone: found -1"),
        ({"gone": {"http://c/": 1.0}}, "--gone: there is no endpoint"),
        ({"add": {"http://c/": 1}}, "--add: there is no endpoint"),
        ({"settings": {"strategy": "p3c"}}, "--set: unknown strategy 'p3c'; did you mean 'p2c'"),
        ({"settings": {"endpoints": []}}, "--set: unknown key 'endpoints'"),
        ({"settings": {"requests.attempts": "x"}}, "--set: requests.attempts: found 'x'"),
    ],
)
def test_a_change_that_does_not_apply_is_one_line(closed, change, wrong):
    with pytest.raises(ConfigError, match=wrong) as caught:
        predict(closed, change=WhatIf(**change), draws=_FEW)
    assert "\n" not in str(caught.value)


def test_callers_of_open_arrivals_cannot_be_set_and_the_rest_of_a_run_is_not_changed(opened):
    with pytest.raises(ConfigError, match=r"--callers: calls come whether or not .*; use --load"):
        predict(opened, change=WhatIf(callers=3), draws=_FEW)
    with pytest.raises(ConfigError, match="found remaining and change"):
        predict(opened, 100, change=WhatIf(load=2.0), draws=_FEW)


def test_printed_it_is_a_table_with_units(closed):
    rest = str(predict(closed, 100, draws=_FEW))
    assert "makespan" in rest
    assert " s (" in rest
    assert "95% intervals of one run, from resampled fits (5)" in rest


def test_the_command_prints_both_and_draws_them(opened, tmp_path, command):
    path = str(written(opened, tmp_path))
    few = ("--draws", "5", "--jobs", "1")
    changes = ("--set", "strategy=p2c", "--capacity", "http://a/=3", "--add", "http://b/=1", "--load", "x1.3",
               "--slower", "http://b/=2", "--gone", "http://b/=5")  # fmt: skip
    code, said, _ = command("predict", path, *changes, *few, "--report", str(tmp_path / "out"), "--json")
    assert code == 0
    found = json.loads(said)
    assert found["changes"] == [
        "strategy = p2c", "http://a/ with 3 slots", "1 more like http://b/", "load x 1.3",
        "http://b/ 2 times as slow", "http://b/ gone after 5 s",
    ]  # fmt: skip
    assert set(found["shares"]["today"]) == {"http://a/", "http://b/"}
    assert set(found["changed"]) == set(found["today"]) >= {"sojourn_p99_s", "wait_p99_s", "lost"}
    assert found["today"]["lost"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    page = (tmp_path / "out" / "prediction.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://a/", "").replace(
        "http://b/", ""
    ).replace("http://one-more-like-b/", "")
    code, said, _ = command("predict", path, *few, "--again", "--outages", "none", "--json")
    assert (code, json.loads(said)["changes"]) == (0, ["without outages"])
    code, said, _ = command("predict", path, *few)
    assert code == 0
    assert "sojourn, p99" in said
    assert "changed" not in said


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--set", "p2c"), "--set: found 'p2c'; write it like"),
        (("--capacity", "4"), "--capacity: found '4'; write it like"),
        (("--add", "some"), "--add: found 'some'; write it like"),
        (("--slower", "b"), "--slower: found 'b'; write it like http://host:8000/=2.5"),
        (("--part", "0.1"), "--part: it needs --check"),
        (("--part", "3"), "--part: found 3"),
        (("--outages", "all"), "--outages: found 'all'; it must be drawn, recorded or none"),
        (("--load", "fast"), "--load: found 'fast'; write it like x1.3"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line(opened, tmp_path, command, options, wrong):
    code, said, wrongs = command("predict", str(written(opened, tmp_path)), *options)
    assert (code, said) == (2, "")
    assert wrong in wrongs


def test_a_scenario_has_no_calls_to_draw_from(tmp_path, command):
    code, _, wrong = command("predict", str(tmp_path / "fitted.toml"))
    assert code == 2
    assert "fitted.toml is a scenario" in wrong
