"""Policies are ranked by the better end of a figure, and those that cannot keep up come last."""

from dataclasses import replace

import pytest
from balancer_simulator import Closed, EndpointModel, Record, Scenario, Study, run_study
from balancer_simulator.report.terminal import print_study
from balancer_simulator.studies.figures import FIGURES, ranking_figure
from typer.testing import CliRunner

from balancer.commands.app import make_app
from balancer.errors import ConfigError
from balancer.plugins.registry import default_registry
from tests.contracts.documents import ROOT, rows
from tests.simulation.printed import printed
from tests.simulation.scenarios import arriving, endpoint


def _of(records: dict[str, tuple[Record, ...]]) -> Study:
    return Study(_scenario(), records)


def _scenario(rate_per_s: float = 1.0, **values: object) -> Scenario:
    return arriving(rate_per_s, endpoint("http://{1..2}/"), **{"horizon_s": 400.0, "replications": 3, **values})


@pytest.fixture(scope="module")
def records():
    return run_study(_scenario(), ["fifo"]).records["fifo"]


# -- the better end -----------------------------------------------------------------------------------


def test_every_figure_of_a_run_ranks_by_its_better_end(records):
    study = run_study(_scenario(workload=Closed(workers=3)), ["fifo", "always_first"])
    there = study.metrics("fifo").keys() & study.metrics("always_first").keys()
    for key in (figure.key for figure in FIGURES if figure.better != "none" and figure.key in there):
        first, last = (study.metric(policy, key).mean for policy in study.ranking(key))
        assert first >= last if ranking_figure(key).better == "more" else first <= last, key


def test_the_page_says_which_end_is_better():
    ends = {
        key: better for keys, better, _ in rows(ROOT / "docs" / "simulator.md", "Figures") for key in keys.split(", ")
    }
    assert ends == {f"`{figure.key}`": figure.better for figure in FIGURES}


def test_a_figure_without_a_better_end_is_refused_with_those_that_have_one(records):
    study = _of({"fifo": records})
    for refused in (study.ranking, study.best):
        with pytest.raises(ConfigError, match=r"^'calls' is neither .* rank by throughput_per_s, .* unfinished$"):
            refused("calls")
    result = CliRunner().invoke(
        make_app(default_registry()), ["simulate", "examples/scenarios/mixed_cluster.toml", "--by", "calls"]
    )
    assert isinstance(result.exception, ConfigError)
    assert "rank by throughput_per_s" in str(result.exception)


# -- who cannot keep up -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overloaded():
    """`always_first` sends three requests a second to an endpoint that does two; the other policies use both."""
    return run_study(
        _scenario(3.0, endpoints=[EndpointModel(url="http://{1..2}/", speed=2.0)]), ["always_first", "fifo"]
    )


def test_who_cannot_keep_up_is_told_from_who_can(overloaded):
    assert overloaded.keeps_up("fifo")
    assert not overloaded.keeps_up("always_first")
    # A third of three a second is left over; the standard error of that part of 3600 requests is below 2%.
    assert overloaded.unfinished("always_first") == pytest.approx(1 / 3, abs=0.06)
    assert overloaded.metric("always_first", "unfinished").mean == pytest.approx(
        overloaded.unfinished("always_first"), 0.1
    )


@pytest.mark.parametrize("replications", [1, 20])
def test_a_busy_queue_keeps_up(replications):
    """At load 0.9 there are 9 requests under way on average, at the end as in the middle: 1% of all that came."""
    study = run_study(_scenario(1.8, replications=replications, seed=5), ["fifo"])
    assert study.unfinished("fifo") > 0.01
    assert study.keeps_up("fifo")


def test_callers_that_wait_for_their_answers_do_not_fall_behind():
    study = run_study(_scenario(workload=Closed(workers=40), horizon_s=20.0, replications=2), ["fifo"])
    assert study.unfinished("fifo") > 0.2
    assert study.keeps_up("fifo")


def test_who_never_ends_requests_is_ranked_last_whatever_the_figure(overloaded):
    assert overloaded.metric("always_first", "lost").mean == 0
    assert overloaded.loses_more("always_first")
    assert overloaded.ranking("wait_p50_s") == overloaded.ranking("failed_calls") == ["fifo", "always_first"]


def test_all_tables_say_who_cannot_keep_up(overloaded):
    share = f"{overloaded.unfinished('always_first'):.1%}"
    text = printed(overloaded, print_study)
    assert text.count(f"cannot keep up, so the times grow with the horizon: always_first ({share} unfinished)") == 1
    assert "or never end them" in text


def test_the_names_of_all_policies_are_whole_in_80_columns(overloaded):
    """With the figures at their widest: losses with an interval, and policies that cannot keep up."""
    quick, slow = overloaded.records["fifo"], overloaded.records["always_first"]
    losing = (*(replace(each, lost=each.lost + 9) for each in quick[:1]), *quick[1:])
    named = {"weighted_least_request": quick, "weighted_round_robin": losing, "earliest_deadline_first": slow}
    shown = printed(_of(named), print_study, width=80).splitlines()
    assert max(map(len, shown)) <= 80
    for place in (0, 1):  # of figures, and of the ranking
        assert [name for name in named if not any(line.split()[place : place + 1] == [name] for line in shown)] == []
