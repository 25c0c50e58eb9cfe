"""A plan keeps its goal where it is run, is the cheapest of what was tried, and never asks for more than is known."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from balancer_simulator import (
    Closed,
    EndpointModel,
    Exponential,
    Goal,
    Lognormal,
    OnOff,
    Poisson,
    Policy,
    PoolPlan,
    Requests,
    Scenario,
    fit_trace,
    load_scenario,
    plan,
    simulate_once,
)
from balancer_simulator.fitting.description import as_toml, fit_lines
from balancer_simulator.plan_commands import seconds_until
from balancer_simulator.planning.plan import KNEE_LOADS, Setting
from balancer_simulator.planning.shown import plan_sections, plan_verdict

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer.reporting.document import Paragraph, plain
from balancer.settings.config import load_config
from tests.simulation.made_traces import made_trace, written

Command = Callable[..., tuple[int, str, str]]

# Two servers of one slot, busy for 60% of the time.
_OPEN = Scenario(
    workload=Poisson(rate_per_s=12.0),
    endpoints=[EndpointModel(url=f"http://{name}/", service=Exponential(mean_s=0.1)) for name in "ab"],
    requests=Requests(attempts=1),
    policies=[Policy(strategy="fifo")],
    horizon_s=40.0,
    health=None,
)
# One caller after the other at three endpoints: what keeps it slow is that there are too few callers.
_SLOW = _OPEN.changed(
    workload=Closed(workers=2, calls=90),
    endpoints=[EndpointModel(url=f"http://e{n}/", capacity=2, service=Lognormal(mean_s=0.1, cv=0.3)) for n in range(3)],
    horizon_s=1e5,
)
_KNOWN = _SLOW.changed(endpoints=[each.model_copy(update={"seen_at_once": 2}) for each in _SLOW.endpoints])
_FIFO = Policy(strategy="fifo")


@pytest.fixture(scope="module")
def trace():
    return made_trace(_OPEN, "fifo")


@pytest.fixture(scope="module")
def closed():
    return made_trace(_SLOW, "fifo")


@pytest.fixture(scope="module")
def doubled(trace):
    """A plan for twice the load."""
    return planned(trace, p99_s=0.8, load=2.0)


def planned(source: Trace | Scenario, **goal: Any) -> PoolPlan:
    source = source if isinstance(source, Scenario) else fit_trace(source)
    return plan(source, Goal(**goal), strategies=["fifo"], draws=5)


def chosen(found: PoolPlan) -> Setting:
    assert found.chosen is not None
    return found.chosen


def said(found: PoolPlan) -> str:
    return "\n".join(plain(each.words) for each in plan_sections(found)[0].blocks if isinstance(each, Paragraph))


# -- open arrivals ------------------------------------------------------------------------------------


def test_one_less_fails_and_what_comes_with_the_answer_is_what_was_wished(doubled):
    found = doubled
    count = len(chosen(found).slots)
    assert found.nearest is not None
    assert len(found.nearest.slots) == count - 1
    assert not found.does(found.nearest)
    assert sum(each.value for each in chosen(found).forecast.share_of.values()) == pytest.approx(1.0, abs=0.05)
    grown = _OPEN.changed(
        endpoints=[EndpointModel(url=f"http://{n}/", service=Exponential(mean_s=0.1)) for n in range(count)],
        workload=Poisson(rate_per_s=24.0),
    )
    came = [simulate_once(grown, _FIFO, n).metrics["sojourn_p99_s"] for n in range(5)]
    assert sum(each <= 0.8 for each in came) >= 4


def test_without_the_best_endpoint_one_more_is_needed(trace, doubled):
    losing = chosen(planned(trace, p99_s=0.8, load=2.0, losing=1))
    assert len(losing.slots) == len(chosen(doubled).slots) + 1
    assert len(losing.forecast.shares) == len(chosen(doubled).slots)


@pytest.mark.more
def test_slots_that_bind_are_varied_and_are_counted_at_their_cost(trace, doubled):
    now, free = doubled, planned(trace, p99_s=0.8, load=2.0, slot_cost=0.1)
    slots = list(chosen(free).slots.values())
    assert len(slots) < len(chosen(now).slots)
    assert chosen(free).cost == pytest.approx(len(slots) + 0.1 * sum(slots))
    assert min(slots) > 1
    assert "never had so many calls at once, so the behaviour then is assumed" in said(free)
    assert "never" not in said(now)


def test_the_knee_is_shown_for_today_the_answer_and_one_more(doubled):
    found = doubled
    assert list(found.knee) == ["as it is", "answer", "one more"]
    assert list(found.knee["one more"]) == [2.0 * part for part in KNEE_LOADS]
    today, answer, more = (line[3.0].value for line in found.knee.values())
    assert today > answer > 0.9 * more


def test_a_time_that_no_server_meets_is_said_with_the_nearest(trace):
    found = planned(trace, p99_s=0.05)
    assert found.chosen is None
    assert found.nearest is not None
    assert found.nearest.sure == min(each.sure for each in found.tried)
    assert "no setting that was tried does; the nearest: " in plan_verdict(found)


@pytest.mark.more
def test_the_kind_with_the_lower_cost_for_its_work_is_bought():
    models = [
        EndpointModel(url="http://slow/", service=Exponential(mean_s=0.2)),
        EndpointModel(url="http://fast/", service=Exponential(mean_s=0.05)),
    ]
    for costs, kind in (({"http://fast/": 1.5}, "fast"), ({"http://fast/": 40.0}, "slow")):
        found = planned(_OPEN.changed(endpoints=models), p99_s=1.2, load=4.0, costs=costs)
        assert {url.split("-like-")[1] for url in chosen(found).made_up} == {f"{kind}/"}


def test_a_scenario_with_bursts_will_do():
    bursts = _OPEN.changed(workload=OnOff(on_rate_per_s=20.0, on_s=1.0, off_s=1.0), horizon_s=20.0)
    assert chosen(planned(bursts, p99_s=2.0, load=1.5)).sure <= 2.0


# -- callers who wait for their answers ---------------------------------------------------------------


def test_callers_are_asked_for_where_callers_are_missing_and_that_is_what_comes(closed):
    found = planned(closed, deadline_s=2.2)
    assert not found.does(found.present)  # 90 calls of 0.1 s by two callers: 4.5 s
    assert found.present.forecast.figures["makespan_s"].value == pytest.approx(4.5, rel=0.1)
    answer = chosen(found)
    assert answer.callers is not None
    assert answer.callers >= 5
    assert len(answer.slots) == 3  # with two of them it would take 2.3 s
    assert max(max(each.slots.values()) for each in found.tried) == 2  # more at once than was ever seen is not proposed
    truth = _SLOW.changed(workload=Closed(workers=answer.callers, calls=90))
    ends_s = [simulate_once(truth, _FIFO, number).makespan_s or 99.0 for number in range(5)]
    assert max(ends_s) < 2.2
    assert sum(answer.forecast.figures["makespan_s"].holds(each) for each in ends_s) >= 3


def test_with_more_time_fewer_endpoints_do_and_with_less_there_are_more():
    assert len(chosen(planned(_SLOW, deadline_s=6.0)).slots) == 1
    found = planned(_KNOWN, deadline_s=1.4)
    assert (len(chosen(found).slots), chosen(found).callers) == (4, 8)  # one more would be idle if nobody more asked
    assert chosen(found).made_up == {"http://one-more-like-e1/": "http://e1/"}
    assert "1 made-up server like http://e1/: replace its address" in said(found)


def test_as_soon_as_it_can_be_nothing_is_bought():
    found = planned(_SLOW, deadline_s=math.inf)
    assert len(chosen(found).slots) == 3
    assert chosen(found).sure < 0.5 * found.present.sure
    assert {slots for each in found.tried for slots in each.slots.values()} == {2, 4}  # nobody says what was seen


def test_a_scenario_that_was_fitted_says_what_was_seen_and_is_given_no_more_than_that(closed, tmp_path):
    path = tmp_path / "fitted.toml"
    path.write_text(as_toml(fit_trace(closed).data()), encoding="utf-8")
    fitted = load_scenario(path)
    assert {each.seen_at_once for each in fitted.endpoints} <= {1, 2}  # there are two callers
    tried = planned(fitted, deadline_s=math.inf).tried
    assert {slots for each in tried for slots in each.slots.values()} == {2}


def test_tasks_are_as_many_as_asked_for():
    found = planned(_SLOW, deadline_s=math.inf, tasks=45).present.forecast.figures["makespan_s"]
    assert found.value == pytest.approx(2.25, rel=0.15)


def test_up_to_four_times_the_endpoints_are_tried_and_it_is_said_where_that_stopped():
    one = _KNOWN.changed(endpoints=_KNOWN.endpoints[:1])
    assert len(chosen(planned(one, deadline_s=1.9)).slots) == 3  # 90 calls of 0.1 s at 2 slots: 4.5 s
    never = planned(one, deadline_s=0.05)
    assert max(len(each.slots) for each in never.tried) == 4
    assert never.remarks == ("more than 4 endpoints were not tried",)


def test_the_run_of_a_pipeline_is_taken_for_as_many_callers_as_were_under_way():
    pausing = _SLOW.changed(workload=Closed(workers=5, calls=120, think=Exponential(mean_s=0.1)))
    trace = made_trace(pausing, "fifo")
    tasks = (f"problem {each.attempt % 2}: tests" for each in trace.attempts)
    attempts = [replace(each, task=task) for each, task in zip(trace.attempts, tasks, strict=True)]
    fit = fit_trace(replace(trace, attempts=attempts))
    lasted_s = max(each.ended_s for each in attempts) - min(each.asked_s for each in attempts)
    for calls, times in ((None, 1), (240, 2)):
        found = plan(fit, Goal(deadline_s=math.inf, tasks=calls), strategies=["fifo"], draws=5)
        assert found.present.forecast.figures["makespan_s"].value == pytest.approx(times * lasted_s, rel=0.2)
        assert "names have several calls at once" in found.remarks[0]
    assert any("plan uses that" in line for line in fit_lines(fit))


def test_names_that_come_and_go_are_no_callers_who_are_all_there_at_once(closed):
    trace = made_trace(_SLOW.changed(workload=Closed(workers=2, calls=120)), "fifo")
    staged = [replace(each, task=f"{each.task}, stage {each.attempt // 12}") for each in trace.attempts]
    found = planned(replace(trace, attempts=staged), deadline_s=math.inf)
    assert found.present.callers == 2  # not 20, which there are names of
    lasted_s = max(each.ended_s for each in trace.attempts)
    assert found.present.forecast.figures["makespan_s"].value == pytest.approx(lasted_s, rel=0.1)
    assert found.remarks[0].startswith("names come and go")
    assert not planned(closed, deadline_s=math.inf).remarks


def test_from_too_few_calls_no_behaviour_is_claimed():
    lines = _SLOW.changed(
        workload=Closed(workers=8, calls=29),
        endpoints=[_SLOW.endpoints[0].model_copy(update={"capacity": 8, "parallel": 1})],
    )
    first, *others = fit_lines(fit_trace(made_trace(lines, "fifo")))
    assert first == "too few calls: 29 have ended; a prediction needs at least 50"
    assert any("is unknown: assumed" in line for line in others)
    assert not any("at a time" in line for line in others)
    more = list(fit_lines(fit_trace(made_trace(lines.changed(workload=Closed(workers=8, calls=80)), "fifo"))))
    assert any("1 at a time" in line for line in more)


# -- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "goal", "wrong"),
    [
        (_OPEN, {}, "plan: give either a deadline"),
        (_OPEN, {"p99_s": 0.0}, "--p99: found 0 s"),
        (_SLOW, {"deadline_s": -1.0}, "--deadline: found -1 s"),
        (_OPEN, {"p99_s": 1.0, "load": 0.0}, "--load: found 0"),
        (_OPEN, {"p99_s": 1.0, "losing": -1}, "--losing: found -1"),
        (_OPEN, {"p99_s": 1.0, "certainty": 3.0}, "--certainty: found 3"),
        (_OPEN, {"p99_s": 1.0, "slot_cost": -1.0}, "--slot-cost: found -1"),
        (
            _OPEN,
            {"p99_s": 1.0, "costs": {"http://c/": 1.0}},
            "--cost: there is no endpoint 'http://c/'; there are http",
        ),
        (_OPEN, {"p99_s": 1.0, "costs": {"http://a/": 0.0}}, "--cost: found 0"),
        (_SLOW, {"p99_s": 1.0}, r"--p99: it is for open arrivals, and its workload is closed .*--deadline"),
        (_OPEN, {"deadline_s": 1.0}, 'so the work has no end; set its workload to kind = "closed".*; for the number'),
    ],
)
def test_a_goal_that_cannot_be_is_one_line(source, goal, wrong):
    with pytest.raises(ConfigError, match=wrong):
        planned(source, **goal)


def test_a_goal_of_the_other_kind_of_load_is_refused_with_a_way_out(trace, closed):
    with pytest.raises(ConfigError, match="2 callers wait for their answers"):
        planned(closed, p99_s=1.0)
    with pytest.raises(ConfigError, match=r"so the work has no end; if callers do wait .* kind = \"closed\".*--p99"):
        planned(trace, deadline_s=60.0)


def test_slots_that_never_were_all_in_use_are_not_varied():
    wide = _OPEN.changed(endpoints=[each.model_copy(update={"capacity": 50}) for each in _OPEN.endpoints])
    with pytest.raises(ConfigError, match="--slot-cost: no endpoint ever had all its slots in use"):
        planned(made_trace(wide, "fifo"), p99_s=0.8, slot_cost=0.1)


# -- the command --------------------------------------------------------------------------------------


def test_the_command_prints_the_answer_and_writes_a_pool_and_a_page(trace, tmp_path, command):
    path, config = str(written(trace, tmp_path)), tmp_path / "pool.toml"
    options = ("--p99", "800ms", "--load", "x2", "--strategy", "fifo", "--draws", "5", "--jobs", "1")
    code, out, _ = command("plan", path, *options, "-o", str(config), "--report", str(tmp_path), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["chosen"]["does"]
    assert not found["nearest"]["does"]
    assert set(found["chosen"]["shares"]) == set(found["chosen"]["endpoints"])
    assert len(load_config(config).endpoints) == len(found["chosen"]["endpoints"])
    assert (tmp_path / "plan.html").read_text(encoding="utf-8").count("<figure") == 1


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--p99", "soon"), "--p99: found 'soon'; write it like"),
        (("--p99", "1s", "--deadline", "1h"), "plan: give either a deadline"),
        (("--load", "x2"), "--load: it needs --p99"),
        (("--p99", "1s", "--tasks", "9"), "--tasks: it needs --deadline"),
        (("--p99", "1s", "--cost", "a=b"), "--cost: found 'a=b'; write it like"),
    ],
)
def test_an_option_that_does_not_apply_is_one_line(trace, tmp_path, command, options, wrong):
    code, out, wrongs = command("plan", str(written(trace, tmp_path)), *options)
    assert (code, out) == (2, "")
    assert wrong in wrongs


_NOW = datetime(2026, 11, 26, 12, 0)  # a Thursday


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400.0),
        ("2h 30m", 9000.0),
        ("1.5 s", 1.5),
        ("18:00", 6 * 3600.0),
        ("11:00", 23 * 3600.0),
        ("Friday 18:00", 86400 + 6 * 3600.0),
        ("thu 11:00", 7 * 86400 - 3600.0),
        ("2026-11-26 13:00", 3600.0),
    ],
)
def test_a_deadline_is_the_next_instant_of_that_name(text, seconds):
    assert seconds_until(text, _NOW) == seconds


@pytest.mark.parametrize("text", ["later", "25:00", "Someday 18:00", "", "2026-11-25", "0s", "mo 18:00"])
def test_a_deadline_that_is_none_or_over_is_refused(text):
    with pytest.raises(ConfigError, match="--deadline: found"):
        seconds_until(text, _NOW)
