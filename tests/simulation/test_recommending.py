"""What is recommended is in time where it is run, the cheapest of what was tried, and never more than is known."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from balancer_simulator import (
    Closed,
    EndpointModel,
    Exponential,
    Lognormal,
    Poisson,
    Policy,
    Requests,
    Scenario,
    simulate_once,
)
from balancer_simulator.fitting.description import as_toml, fit_lines
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.predicting.predict import predict
from balancer_simulator.predicting.recommend import Recommendation, SettingForecast, recommend
from balancer_simulator.predicting.settings import with_setting
from balancer_simulator.report.recommendation import verdict
from balancer_simulator.scenario.scenario import load_scenario
from balancer_simulator.trace_commands import seconds_until

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from tests.simulation.made_traces import made_trace

# One caller after the other at three endpoints: what keeps it slow is that there are too few callers.
_SLOW = Scenario(
    workload=Closed(workers=2, calls=90),
    endpoints=[EndpointModel(url=f"http://e{n}/", capacity=2, service=Lognormal(mean_s=0.1, cv=0.3)) for n in range(3)],
    requests=Requests(attempts=1),
    policies=[Policy(strategy="fifo")],
    horizon_s=1e5,
    health=None,
)
_KNOWN = _SLOW.changed(endpoints=[each.model_copy(update={"seen_at_once": 2}) for each in _SLOW.endpoints])
_FEW = {"draws": 5, "strategies": ["fifo"]}


def chosen(found: Recommendation) -> SettingForecast:
    assert found.chosen is not None
    return found.chosen


def present(found: Recommendation) -> float:
    """Return when it is over as things are."""
    assert found.present.ends_s is not None
    return found.present.ends_s.value


def test_callers_are_recommended_where_callers_are_missing_and_that_is_what_comes() -> None:
    fit = fit_trace(made_trace(_SLOW, "fifo"))
    found = recommend(fit, deadline_s=2.2, **_FEW)
    assert not found.does(found.present)  # 90 calls of 0.1 s by two callers: 4.5 s
    assert present(found) == pytest.approx(4.5, rel=0.1)
    setting = chosen(found).setting
    assert setting.workers >= 5
    assert setting.endpoints == (0, 1, 2)  # with two of them it would take 2.3 s
    assert all(each.setting.workers >= 5 for each in found.by_number)  # they are the base of what is tried next
    truth = _SLOW.changed(workload=Closed(workers=setting.workers, calls=90))
    ends_s = [simulate_once(truth, Policy(strategy="fifo"), number).makespan_s or 99.0 for number in range(5)]
    assert max(ends_s) < 2.2
    assert sum(chosen(found).ends_s.holds(each) for each in ends_s) >= 3


def test_with_more_time_fewer_endpoints_do() -> None:
    found = recommend(_SLOW, deadline_s=6.0, **_FEW)
    assert len(chosen(found).setting.endpoints) == 1
    counts = [len(each.setting.endpoints) for each in found.by_number]
    assert counts == [1, 2, 3, 4], counts
    ends = [each.ends_s.value for each in found.by_number if each.ends_s]
    # With four endpoints there are more slots than workers, so that the fourth changes nothing but by chance.
    assert all(later < 1.05 * before for before, later in pairwise(ends))
    assert ends[0] > 2 * ends[2]


def test_endpoints_are_added_until_it_is_in_time_and_what_cannot_be_is_said() -> None:
    found = recommend(_KNOWN, deadline_s=1.4, **_FEW)
    setting = chosen(found).setting
    assert (len(setting.endpoints), setting.workers) == (4, 8)  # one more would be idle if nobody more asked
    truth = with_setting(_SLOW, setting)
    assert (simulate_once(truth, Policy(strategy="fifo"), 0).makespan_s or 99.0) < 1.4
    never = recommend(_SLOW, deadline_s=0.05, **_FEW)
    assert never.chosen is None
    assert never.nearest.sure_s == min(each.sure_s for each in never.tried)


def test_more_at_once_than_was_ever_seen_is_not_proposed_from_a_trace() -> None:
    rooms = {each.setting.room for each in recommend(fit_trace(made_trace(_SLOW, "fifo")), **_FEW).tried}
    assert rooms == {"as it is"}
    assert "twice" in {each.setting.room for each in recommend(_SLOW, **_FEW).tried}


def test_a_scenario_that_was_fitted_says_what_was_seen_and_is_given_no_more_than_that(tmp_path: Path) -> None:
    path = tmp_path / "fitted.toml"
    path.write_text(as_toml(fit_trace(made_trace(_SLOW, "fifo")).data()), encoding="utf-8")
    fitted = load_scenario(path)
    assert {each.seen_at_once for each in fitted.endpoints} <= {1, 2}  # there are two callers
    tried = recommend(fitted, **_FEW).tried
    assert {model.capacity for each in tried for model in each.scenario.endpoints} == {2}


def test_an_endpoint_that_there_is_not_yet_is_named_so_and_which_one_it_is_like() -> None:
    found = recommend(_KNOWN, deadline_s=1.4, **_FEW)
    assert chosen(found).made_up == {"http://one-more-like-e1/": "http://e1/"}
    assert "; 1 made-up server like http://e1/: replace its address" in verdict(found)
    assert "budget" not in verdict(recommend(_SLOW, deadline_s=0.05, **_FEW))
    assert "for at most 0.0001 endpoint-hours" in verdict(recommend(_SLOW, budget_h=0.0001, **_FEW))


def test_a_budget_is_kept_and_without_wishes_nothing_is_bought() -> None:
    found = recommend(_SLOW, budget_h=8.0 / 3600, **_FEW)
    assert chosen(found).cost_h <= 8.0 / 3600
    assert len(chosen(recommend(_SLOW, **_FEW)).setting.endpoints) == 3


def test_tasks_are_as_many_as_asked_for() -> None:
    assert present(recommend(_SLOW, tasks=45, **_FEW)) == pytest.approx(2.25, rel=0.15)


def test_callers_who_come_anyway_have_no_end_and_are_refused() -> None:
    with pytest.raises(ConfigError, match="so the work has no end"):
        recommend(_SLOW.changed(workload=Poisson(rate_per_s=1.0)))


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
def test_a_deadline_is_the_next_instant_of_that_name(text: str, seconds: float) -> None:
    assert seconds_until(text, datetime(2026, 11, 26, 12, 0)) == seconds  # a Thursday


@pytest.mark.parametrize("text", ["soon", "25:00", "Someday 18:00", "", "2026-11-25", "0s", "mo 18:00"])
def test_a_deadline_that_is_none_or_over_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--deadline: found"):
        seconds_until(text, datetime(2026, 11, 26, 12, 0))


def test_what_is_better_by_itself_is_the_base_of_what_is_tried_next() -> None:
    found = recommend(_KNOWN, **_FEW)
    crews = {each.setting.workers: each.sure_s for each in found.tried[:3]}
    assert crews[6] < 0.5 * crews[2]  # six slots, and two callers
    others = {each.setting for each in found.tried[3:]} | {each.setting for each in found.by_number}
    assert {(each.room, len(each.endpoints)) for each in others} == {("as it is", number) for number in (1, 2, 3, 4)}
    assert all(each.workers >= 6 for each in others), others


def _of_problems(*, calls: int = 120) -> Trace:
    """Return a trace as a pipeline writes one: five callers with pauses, and a name that is that of their problem."""
    pausing = _SLOW.changed(workload=Closed(workers=5, calls=calls, think=Exponential(mean_s=0.1)))
    trace = made_trace(pausing, "fifo")
    tasks = (f"problem {each.attempt % 2}: tests" for each in trace.attempts)
    return replace(trace, attempts=[replace(each, task=task) for each, task in zip(trace.attempts, tasks, strict=True)])


def test_the_run_of_a_pipeline_is_taken_for_as_many_callers_as_were_under_way() -> None:
    trace = _of_problems()
    lasted_s = max(each.ended_s for each in trace.attempts) - min(each.asked_s for each in trace.attempts)
    found = recommend(fit_trace(trace), **_FEW)
    assert present(found) == pytest.approx(lasted_s, rel=0.2)
    assert "names have several calls at once" in found.remarks[0]
    assert any("recommend uses that" in line for line in fit_lines(fit_trace(trace)))
    assert present(recommend(fit_trace(trace), tasks=240, **_FEW)) == pytest.approx(2 * lasted_s, rel=0.2)


def test_names_that_come_and_go_are_no_callers_who_are_all_there_at_once() -> None:
    trace = made_trace(_SLOW.changed(workload=Closed(workers=2, calls=120)), "fifo")
    staged = [replace(each, task=f"{each.task}, stage {each.attempt // 12}") for each in trace.attempts]
    lasted_s = max(each.ended_s for each in trace.attempts)
    found = recommend(fit_trace(replace(trace, attempts=staged)), **_FEW)
    assert found.present.setting.workers == 2  # not 20, which there are names of
    assert present(found) == pytest.approx(lasted_s, rel=0.1)
    assert found.remarks[0].startswith("names come and go")
    assert not recommend(fit_trace(trace), **_FEW).remarks


def test_names_of_tasks_that_come_by_themselves_are_refused_with_a_way_out() -> None:
    trace = made_trace(_SLOW.changed(workload=Poisson(rate_per_s=30.0), horizon_s=4.0))
    with pytest.raises(
        ConfigError,
        match=r"so the work has no end; if they do wait .* kind = \"closed\".*; for the number .* give --p99",
    ):
        recommend(fit_trace(trace), **_FEW)


def test_up_to_four_times_the_endpoints_are_tried_and_it_is_said_where_that_stopped() -> None:
    one = _KNOWN.changed(endpoints=_KNOWN.endpoints[:1])
    found = recommend(one, deadline_s=1.9, **_FEW)  # 90 calls of 0.1 s at 2 slots: 4.5 s
    assert len(chosen(found).setting.endpoints) == 3
    never = recommend(one, deadline_s=0.05, **_FEW)
    assert max(len(each.setting.endpoints) for each in never.tried) == 4
    assert never.remarks == ("more than 4 endpoints were not tried",)
    few = one.changed(workload=Closed(workers=2, calls=2))
    assert "more endpoints do not help" in recommend(few, deadline_s=0.01, **_FEW).remarks[0]


def test_from_too_few_calls_no_behaviour_is_claimed() -> None:
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


def test_fewer_than_no_calls_cannot_remain() -> None:
    with pytest.raises(ConfigError, match="found remaining -1; it must be a whole number, 0 or more"):
        predict(made_trace(_SLOW, "fifo"), remaining=-1)
