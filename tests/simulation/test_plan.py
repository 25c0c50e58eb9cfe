"""A plan keeps its goal where it is run, is the cheapest of what was tried, and never asks for more than is known."""

import json
import math

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
    Requests,
    Scenario,
    fit_trace,
    plan,
    simulate_once,
)
from balancer_simulator.plan_commands import seconds_of
from balancer_simulator.planning.shown import plan_text, plan_verdict

from balancer.errors import ConfigError
from balancer.settings.config import load_config
from tests.simulation.made_traces import made_trace, written

FIFO = Policy(strategy="fifo")
# Two servers of one slot, busy for 60% of the time.
OPEN = Scenario(
    workload=Poisson(rate_per_s=12.0),
    endpoints=[EndpointModel(url=f"http://{name}/", service=Exponential(mean_s=0.1)) for name in "ab"],
    requests=Requests(attempts=1),
    policies=[FIFO],
    horizon_s=40.0,
    health=None,
)
# One caller after the other at three endpoints: what keeps it slow is that there are too few callers.
SLOW = OPEN.changed(
    workload=Closed(workers=2, calls=90),
    endpoints=[EndpointModel(url=f"http://e{n}/", capacity=2, service=Lognormal(mean_s=0.1, cv=0.3)) for n in range(3)],
    horizon_s=1e5,
)


@pytest.fixture(scope="module")
def trace():
    return made_trace(OPEN, "fifo")


@pytest.fixture(scope="module")
def closed():
    return made_trace(SLOW, "fifo")


@pytest.fixture(scope="module")
def doubled(trace):
    """A plan for twice the load."""
    return planned(trace, p99_s=0.8, load=2.0)


def planned(source, **goal):
    source = source if isinstance(source, Scenario) else fit_trace(source)
    return plan(source, Goal(**goal), strategies=["fifo"], draws=5)


# -- open arrivals ------------------------------------------------------------------------------------


def test_one_less_fails_and_what_comes_with_the_answer_is_what_was_wished(doubled):
    number = len(doubled.chosen.slots)
    assert len(doubled.nearest.slots) == number - 1
    assert not doubled.nearest.does
    assert sum(each.value for each in doubled.chosen.forecast.share_of.values()) == pytest.approx(1.0, abs=0.05)
    grown = OPEN.changed(
        endpoints=[EndpointModel(url=f"http://{n}/", service=Exponential(mean_s=0.1)) for n in range(number)],
        workload=Poisson(rate_per_s=24.0),
    )
    came = [simulate_once(grown, FIFO, n).metrics["sojourn_p99_s"] for n in range(5)]
    assert sum(each <= 0.8 for each in came) >= 4


def test_without_the_best_endpoint_one_more_is_needed(trace, doubled):
    losing = planned(trace, p99_s=0.8, load=2.0, losing=1).chosen
    assert len(losing.slots) == len(doubled.chosen.slots) + 1
    assert len(losing.forecast.shares) == len(doubled.chosen.slots)


def test_a_time_that_no_server_meets_is_said_with_the_nearest(trace):
    found = planned(trace, p99_s=0.05)
    assert found.chosen is None
    assert found.nearest.sure == min(each.sure for each in found.tried)
    assert "no setting that was tried does; the nearest: " in plan_verdict(found)


@pytest.mark.more
def test_the_kind_with_the_lower_cost_for_its_work_is_bought():
    models = [
        EndpointModel(url=f"http://{name}/", service=Exponential(mean_s=s))
        for name, s in (("slow", 0.2), ("fast", 0.05))
    ]
    for costs, kind in (({"http://fast/": 1.5}, "fast"), ({"http://fast/": 40.0}, "slow")):
        found = planned(OPEN.changed(endpoints=models), p99_s=1.2, load=4.0, costs=costs)
        assert {url.split("-like-")[1] for url in found.chosen.made_up} == {f"{kind}/"}


def test_no_more_requests_are_lost_than_today_by_a_quarter():
    found = planned(OPEN.changed(max_waiters=0), p99_s=5.0, load=3.0)
    assert found.present.sure < 5.0
    assert found.present.forecast.mean("lost") > 2 * found.chosen.forecast.mean("lost")
    assert not found.present.does


def test_a_scenario_with_bursts_will_do():
    bursts = OPEN.changed(workload=OnOff(on_rate_per_s=20.0, on_s=1.0, off_s=1.0), horizon_s=20.0)
    assert planned(bursts, p99_s=2.0, load=1.5).chosen.sure <= 2.0


# -- callers who wait for their answers ---------------------------------------------------------------


def test_callers_are_asked_for_where_callers_are_missing_and_that_is_what_comes(closed):
    found = planned(closed, deadline_s=2.2)
    assert not found.present.does  # 90 calls of 0.1 s by two callers: 4.5 s
    assert found.present.forecast.figures["makespan_s"].value == pytest.approx(4.5, rel=0.1)
    answer = found.chosen
    assert answer.callers >= 5
    assert len(answer.slots) == 3  # with two of them it would take 2.3 s
    truth = SLOW.changed(workload=Closed(workers=answer.callers, calls=90))
    ends_s = [simulate_once(truth, FIFO, number).makespan_s or 99.0 for number in range(5)]
    assert max(ends_s) < 2.2
    assert sum(answer.forecast.figures["makespan_s"].holds(each) for each in ends_s) >= 3


def test_with_more_time_fewer_endpoints_do_and_with_less_there_are_more():
    assert len(planned(SLOW, deadline_s=6.0).chosen.slots) == 1
    found = planned(SLOW, deadline_s=1.4)
    assert (len(found.chosen.slots), found.chosen.callers) == (4, 8)  # one more would be idle if nobody more asked
    assert found.chosen.made_up == {"http://one-more-like-e1/": "http://e1/"}
    assert "1 made-up server like http://e1/: replace its address" in plan_text(found)


def test_as_soon_as_it_can_be_nothing_is_bought_and_tasks_are_as_many_as_asked_for():
    found = planned(SLOW, deadline_s=math.inf)
    assert len(found.chosen.slots) == 3
    assert found.chosen.sure < 0.5 * found.present.sure
    half = planned(SLOW, deadline_s=math.inf, tasks=45).present.forecast.figures["makespan_s"]
    assert half.value == pytest.approx(2.25, rel=0.15)


def test_where_no_call_waited_as_many_callers_are_tried_as_calls_were_seen_at_once():
    wide = [each.model_copy(update={"capacity": 10_000, "seen_at_once": 2}) for each in SLOW.endpoints]
    tried = planned(SLOW.changed(endpoints=wide), deadline_s=math.inf).tried
    assert {slots for each in tried for slots in each.slots.values()} == {2}
    assert max(each.callers for each in tried) == 12


def test_up_to_four_times_the_endpoints_are_tried_and_it_is_said_where_that_stopped():
    one = SLOW.changed(endpoints=SLOW.endpoints[:1])
    assert len(planned(one, deadline_s=1.9).chosen.slots) == 3  # 90 calls of 0.1 s at 2 slots: 4.5 s
    never = planned(one, deadline_s=0.05)
    assert max(len(each.slots) for each in never.tried) == 4
    assert never.remarks == ("more than 4 endpoints were not tried",)


# -- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "goal", "wrong"),
    [
        (OPEN, {}, "plan: give either a deadline"),
        (OPEN, {"p99_s": 0.0}, "--p99: found 0; it must be more than 0"),
        (SLOW, {"deadline_s": -1.0}, "--deadline: found -1; it must"),
        (OPEN, {"p99_s": 1.0, "load": 0.0}, "--load: found 0"),
        (OPEN, {"p99_s": 1.0, "losing": -1}, "--losing: found -1"),
        (OPEN, {"p99_s": 1.0, "certainty": 3.0}, "--certainty: found 3"),
        (OPEN, {"p99_s": 1.0, "costs": {"c": 1.0}}, "--cost: there is no endpoint 'c'; there are http"),
        (OPEN, {"p99_s": 1.0, "costs": {"http://a/": 0.0}}, "--cost: found 0"),
        (SLOW, {"p99_s": 1.0}, r"--p99: it is for open arrivals, and its workload is closed .*--deadline"),
        (OPEN, {"deadline_s": 1.0}, 'so the work has no end; if callers do wait .* kind = "closed".*--p99'),
        ("closed", {"p99_s": 1.0}, "2 callers wait for their answers"),
        ("trace", {"deadline_s": 60.0}, r"so the work has no end; if callers do wait .* kind = \"closed\".*--p99"),
    ],
)
def test_a_goal_that_cannot_be_is_one_line(source, goal, wrong, request):
    with pytest.raises(ConfigError, match=wrong):
        planned(request.getfixturevalue(source) if isinstance(source, str) else source, **goal)


# -- the command --------------------------------------------------------------------------------------


def test_the_command_prints_the_answer_and_writes_a_pool(trace, tmp_path, command):
    path, config = str(written(trace, tmp_path)), tmp_path / "pool.toml"
    options = ("--p99", "800ms", "--load", "x2", "--strategy", "fifo", "--draws", "5", "--jobs", "1")
    code, out, _ = command("plan", path, *options, "-o", str(config), "--json")
    found = json.loads(out)
    assert (code, found["chosen"]["does"], found["nearest"]["does"]) == (0, True, False)
    assert set(found["chosen"]["shares"]) == set(found["chosen"]["endpoints"])
    assert len(load_config(config).endpoints) == len(found["chosen"]["endpoints"])
    code, out, _ = command("plan", path, *options, "-o", str(config))
    assert (code, "sure of" in out, "share of the calls, by endpoint of the answer" in out) == (0, True, True)
    code, out, wrong = command("plan", path, *options, "-o", str(tmp_path))
    assert (code, out, "cannot be written: Is a directory; choose another path" in wrong) == (2, "", True)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--p99", "soon"), "--p99: found 'soon'; write it like"),
        (("--p99", "1s", "--deadline", "1h"), "plan: give either a deadline"),
        (("--load", "x2"), "--load: it needs --p99"),
        (("--p99", "1s", "--tasks", "9"), "--tasks: it needs --deadline"),
        (("--p99", "1s", "--cost", "a=b"), "--cost: found 'a=b'; write it like"),
        (("--p99", "5"), "--p99: found '5'; write it like"),
        (("--deadline", "Friday 18:00"), '--deadline: found \'Friday 18:00\'; write it like "800ms", "0.8s", "90m"'),
    ],
)
def test_an_option_that_does_not_apply_is_one_line(trace, tmp_path, command, options, wrong):
    code, out, wrongs = command("plan", str(written(trace, tmp_path)), *options)
    assert (code, out, wrong in wrongs) == (2, "", True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400.0), ("2h 30m", 9000.0), ("1.5 s", 1.5), ("800MS", 0.8), ("1d", 86400.0)]
)
def test_a_length_of_time_is_read(text, seconds):
    assert seconds_of("--deadline", text) == seconds
