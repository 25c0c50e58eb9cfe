"""What is predicted of the next run, as it is and changed, comes true; a change that does not apply is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Closed, EndpointModel, Lognormal, Poisson, Requests, Scenario, WhatIf, check, predict
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.planning.planner import prediction_of, sure_below
from balancer_simulator.planning.predict import recorded_figures
from balancer_simulator.planning.what_if import scaled_arrivals
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas import concat

from balancer.errors import ConfigError
from tests.simulation.made_traces import imported, made_trace, written

SERVICE = Lognormal(mean_s=0.1, cv=0.5)
RUN = Scenario(
    workload=Closed(workers=6, calls=240),
    endpoints=[EndpointModel(url=f"http://{name}/", capacity=2, service=SERVICE) for name in "ab"],
    requests=Requests(attempts=1),
    horizon_s=1e5,
    health=None,
)
FEW = 5


@pytest.fixture(scope="module")
def closed():
    return made_trace(RUN)


@pytest.fixture(scope="module")
def opened():
    return made_trace(RUN.changed(workload=Poisson(rate_per_s=25.0), horizon_s=10.0))


def mean(trace, name="sojourn_mean_s", **change):
    return predict(trace, WhatIf(**change), draws=FEW).figures[name].value


def test_without_changes_it_is_todays_interval_and_holds_what_was_recorded(closed):
    now, then = predict(closed, draws=FEW), predict(closed, WhatIf(callers=3), draws=FEW)
    assert now.figures == now.today == then.today
    assert (now.changes, now.off) == ((), ())
    assert now.recorded == then.recorded == recorded_figures(fit_trace(closed))
    for name, came in now.recorded.items():
        assert now.figures[name].value == pytest.approx(came, rel=0.25, abs=0.01), name
    assert not goodness_of_fit(fit_trace(closed)).off()
    said = "THE FIT IS OFF: runs of it are unlike the trace, so do not plan with it"
    lines = str(replace(now, off=(said,))).splitlines()
    assert lines[1] == said
    assert "95% intervals of one run, from resampled fits (5)" in "\n".join(lines)


def test_each_change_does_what_it_says(closed):
    today = mean(closed, "makespan_s")
    assert mean(closed, "makespan_s", callers=1) > 3 * today
    assert mean(closed, "makespan_s", without=("http://a",)) > 1.5 * today
    assert mean(closed, "makespan_s", add={"": 1}) < 0.8 * today
    assert mean(closed, "makespan_s", capacities={"http://a/": 1}) > 1.2 * today
    assert mean(closed, "wait_mean_s", settings={"max_waiters": 0}) == 0
    with pytest.raises(ConfigError, match=r"host_caps: no endpoint is on '10\.0\.0\.1'"):
        mean(closed, settings={"host_caps.10.0.0.1": 1})
    assert mean(closed, "makespan_s", settings={"strategy": "always_first"}) > 0
    with pytest.raises(ConfigError, match=r"--set: strategy 'p2c', option salt: unknown key"):
        mean(closed, settings={"strategy": "p2c", "options.salt": "x"})


def test_shares_go_where_the_change_sends_them(closed):
    slow = predict(closed, WhatIf(slower={"http://a/": 4.0}), draws=FEW)
    assert sum(slow.recorded_shares.values()) == pytest.approx(1.0)
    assert slow.today_shares["http://a/"].holds(slow.recorded_shares["http://a/"])
    assert slow.shares["http://a/"].value < 0.5 * slow.today_shares["http://a/"].value
    gone = predict(closed, WhatIf(gone={"http://a/": 2.0}, settings={"requests.attempts": 3}), draws=FEW)
    assert gone.shares["http://a/"].value < 0.8 * gone.today_shares["http://a/"].value
    assert gone.figures["lost"].value < 0.05  # they are tried again elsewhere
    assert "http://a/ gone after 2 s" in str(gone)


def test_more_load_is_slower_and_a_load_beyond_all_is_said(opened):
    today, less = mean(opened), mean(opened, load=0.4)
    found = predict(opened, WhatIf(load=2.5), draws=FEW)
    assert less < today < found.figures["sojourn_mean_s"].value
    assert any("calls come faster than they are served" in line for line in found.remarks)
    assert predict(opened, draws=FEW).remarks == ()


def test_waits_are_not_known_where_no_call_waited_and_no_capacity_is_given():
    wide = [each.model_copy(update={"capacity": 50}) for each in RUN.endpoints]
    log = imported(made_trace(RUN.changed(endpoints=wide, workload=Poisson(rate_per_s=25.0), horizon_s=10.0)))
    more = predict(log, WhatIf(load=2.0), draws=FEW)
    assert "wait_mean_s" in more.today
    assert not any(name.startswith("wait") for name in more.figures)
    assert any("waits are left out" in line and "--capacity" in line for line in more.remarks)
    given = predict(log, WhatIf(load=2.0, capacities={"http://a/": 2, "http://b/": 2}), draws=FEW)
    assert given.figures["wait_mean_s"].low > 0


def test_this_day_again_has_arrivals_and_outages_as_they_came():
    """25 calls a second, of which one endpoint alone can do 20; b was down from 3 s to 6 s of 60."""
    down = {"kind": "fail_within", "after_s": 0.01, "from_s": 3.0, "to_s": 6.0}
    endpoints = [RUN.endpoints[0], {**RUN.endpoints[1].model_dump(), "faults": [down]}]
    day = {"workload": Poisson(rate_per_s=25.0), "horizon_s": 60.0, "health": {}, "seed": 2}
    trace = made_trace(RUN.changed(endpoints=endpoints, **day))
    fit = fit_trace(trace)
    kinds = [{fault.kind for fault in fit.scenario(again=each).by_url["http://b/"].faults} for each in (False, True)]
    assert kinds == [{"crash_repair"}, {"fail_within"}]
    (outage,) = fit.scenario(again=True).by_url["http://b/"].faults
    assert (outage.from_s, outage.to_s) == (pytest.approx(3.0, abs=0.3), pytest.approx(7.0, abs=1.5))
    again = predict(trace, WhatIf(again=True, capacities={"http://a/": 3}), draws=FEW)
    assert (again.changes, again.remarks) == (("http://a/ with 3 slots",), ())
    last_s, ends = max(each.asked_s for each in trace.attempts), again.today["makespan_s"]
    assert abs(ends.low - last_s) < 1.5 > abs(ends.high - last_s)
    assert again.today["wait_p99_s"].value == pytest.approx(again.recorded["wait_p99_s"], rel=0.5)
    assert any("a next run may have none" in line for line in predict(trace, draws=FEW).remarks)


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


def test_an_interval_allows_for_few_draws_and_never_ends_below_zero():
    few, many = prediction_of([10.0, 11.0, 12.0]), prediction_of([10.0, 11.0, 12.0] * 20)
    assert few.high - few.low > 2 * (many.high - many.low)
    assert prediction_of([0.0, 0.1, 9.0]).low == 0.0
    assert few.value < sure_below([10.0, 11.0, 12.0], 0.95) < few.high  # an interval has two ends
    with pytest.raises(ValueError, match="at least 2"):
        prediction_of([1.0])


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"load": 2.0}, r"--load: 6 callers wait for their answers .*; use --callers"),
        ({"load": 0.0}, "--load: found 0"),
        ({"callers": 0}, "--callers: found 0"),
        ({"without": ("http://c/",)}, "--without: there is no endpoint 'http://c/'; there are http://a/, http://b/"),
        ({"without": ("http://a/", "http://a")}, "--without: http://a/ is listed twice"),
        ({"without": ("http://a/", "http://b/")}, "--without: no endpoint is left"),
        ({"without": ("http://a/",), "capacities": {"http://a/": 2}}, "--capacity: http://a/ is left out"),
        ({"capacities": {"http://a/": 0}}, "--capacity: found 0"),
        ({"slower": {"http://a/": 0.0}}, "--slower: found 0"),
        ({"gone": {"http://a/": -1.0}}, "--gone: found -1"),
        ({"add": {"http://c/": 1}}, "--add: there is no endpoint"),
        ({"add": {"": 1000}}, "--add: found 1000; it must be at most 500 in all"),
        ({"settings": {"strategy": "p3c"}}, "--set: unknown strategy 'p3c'; did you mean 'p2c'"),
        ({"settings": {"quotas.key": 1}}, "--set: unknown key 'quotas.key'"),
        ({"settings": {"requests.attempts": "x"}}, "--set: requests.attempts: found 'x'"),
    ],
)
def test_a_change_that_does_not_apply_is_one_line(closed, opened, change, wrong):
    with pytest.raises(ConfigError, match=wrong) as caught:
        predict(closed, WhatIf(**change), draws=FEW)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"--callers: calls come whether or not .*; use --load"):
        predict(opened, WhatIf(callers=3), draws=FEW)


# -- the check ------------------------------------------------------------------------------------------


@pytest.mark.more
def test_most_intervals_hold_what_came_and_most_errors_are_small():
    found = [check(made_trace(RUN, replication=n), [0.25, 0.5], draws=12) for n in range(6)]
    # 12 intervals of 95%: fewer than 9 hold it in one of 3000 such dozens.
    assert sum(each.covered("makespan_s")[0] for each in found) >= 9
    ends = concat([each.figures for each in found]).query("figure == 'makespan_s'")
    assert ends.error.abs().median() < 0.05


def test_a_check_looks_at_nothing_later_and_parts_with_too_few_calls_are_left_out(closed, opened):
    found = check(closed, [0.01, 0.5], draws=FEW)
    assert "2 calls had ended" in found.left_out[0.01]
    cut_s = found.figures.at_s[0]
    late = [each if each.granted_s < cut_s else replace(each, ended_s=each.granted_s + 99) for each in closed.attempts]
    again, predicted = check(replace(closed, attempts=late), [0.5], draws=FEW), ["figure", "predicted", "low", "high"]
    assert again.figures[predicted].equals(found.figures[predicted])
    assert again.figures.came[0] > found.figures.came[0] + 90
    errors = check(opened, [0.4], draws=10).figures.set_index("figure").error.abs()
    assert errors.throughput_per_s < 0.3
    assert errors.makespan_s < 0.1
    with pytest.raises(ConfigError, match="predictions from the trace cannot be checked: 2 calls"):
        check(closed, [0.01], draws=FEW)


# -- the commands -----------------------------------------------------------------------------------------


def test_fit_prints_what_it_found_and_writes_a_scenario(closed, tmp_path, command):
    out, path = tmp_path / "fitted.toml", str(written(closed, tmp_path))
    code, said, _ = command("fit", path, "-o", str(out), "--json")
    found = json.loads(said)
    assert (code, found["off"], found["fitted"]["workload"]["workers"]) == (0, [], 6)
    assert not any(each["is_off"] for each in found["figures"].values())
    assert "# Fitted to trace.jsonl." in out.read_text(encoding="utf-8")
    code, said, _ = command("fit", path)
    assert (code, "http://a/: a call takes" in said, "closed loop: 6 callers" in said) == (0, True, True)
    code, _, wrong = command("simulate", path)
    assert (code, "trace.jsonl: this is a trace; fit it first: balancer fit" in wrong) == (2, True)
    code, _, wrong = command("predict", str(out))
    assert (code, "fitted.toml is a scenario" in wrong) == (2, True)


def test_predict_prints_both_and_its_check_what_came(opened, tmp_path, command):
    path, few = str(written(opened, tmp_path)), ("--draws", "5", "--jobs", "1")
    changes = ("--set", "strategy=p2c", "--capacity", "http://a/=3", "--add", "http://b/=1", "--load", "x1.3",
               "--slower", "http://b/=2", "--gone", "http://b/=5", "--again")  # fmt: skip
    code, said, _ = command("predict", path, *changes, *few, "--json")
    found = json.loads(said)
    assert (code, found["changes"]) == (0, [
        "strategy = p2c", "http://a/ with 3 slots", "1 more like http://b/", "load x 1.3",
        "http://b/ 2 times as slow", "http://b/ gone after 5 s",
    ])  # fmt: skip
    assert set(found["today_shares"]) == {"http://a/", "http://b/"}
    assert set(found["figures"]) == set(found["today"]) >= {"sojourn_p99_s", "wait_p99_s", "lost"}
    assert found["today"]["lost"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    code, said, _ = command("predict", path, *few)
    assert (code, "sojourn_p99_s" in said, "changed" in said) == (0, True, False)
    code, said, _ = command("predict", path, "--check", "--part", "0.3", "--part", "0.01", "--draws", "5")
    heads, *rows, left_out = said.splitlines()
    assert (code, heads.split()[3:], len(rows)) == (0, ["predicted", "low", "high", "came", "error", "covered"], 4)
    assert left_out.startswith("after 1%: left out: 2 calls had ended")


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--set", "p2c"), "--set: found 'p2c'; write it like"),
        (("--capacity", "4"), "--capacity: found '4'; write it like"),
        (("--add", "some"), "--add: found 'some'; write it like"),
        (("--slower", "b"), "--slower: found 'b'; write it like http://host:8000/=2.5"),
        (("--part", "0.1"), "--part: it needs --check"),
        (("--part", "3"), "--part: found 3"),
        (("--check", "--load", "x2"), "--check: it compares TRACE with itself"),
        (("--load", "fast"), "--load: found 'fast'; write it like x1.3"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line(opened, tmp_path, command, options, wrong):
    code, said, wrongs = command("predict", str(written(opened, tmp_path)), *options)
    assert (code, said, wrong in wrongs) == (2, "", True)
