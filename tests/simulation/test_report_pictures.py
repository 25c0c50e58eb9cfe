"""The page and its charts, however much there is to show: all calls are drawn, and tables stay as wide as a page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from balancer_simulator.report.charts import beside_best, curves, draw_charts, gantt, ranking, tails
from balancer_simulator.report.document import page, settings_lines
from balancer_simulator.studies.study import run_study

from balancer.reporting import charts
from balancer.reporting.charts import Box, Drawing, line_chart
from tests.simulation.test_report import BATCH, study_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("studies"), BATCH, policies=["fifo"])


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets every box that a chart draws."""
    found: list[Box] = []
    draw: Callable[..., None] = charts.boxes

    def spy(drawing: Drawing, corners: Sequence[Box], colour: str) -> None:
        found.extend(corners)
        draw(drawing, corners, colour)

    monkeypatch.setattr(charts, "boxes", spy)
    return found


@pytest.mark.parametrize("most", [1000, 20])
def test_every_call_is_drawn_up_to_a_number_that_is_said(study, drawn, monkeypatch, most):
    monkeypatch.setattr("balancer_simulator.report.charts._MOST_BARS", most)
    chart = gantt(study, "fifo")
    spans = study.records["fifo"][0].spans
    assert len(drawn) == min(most, len(spans))
    assert (f"Shown are the first {most} of {len(spans)} calls." in chart.caption) == (most < len(spans))
    assert not any(_overlap(*pair) for pair in combinations(drawn, 2))


def _overlap(one: Box, other: Box) -> bool:
    """Return whether two boxes share more than an edge; y grows downwards."""
    in_time_s = min(one[1], other[1]) - max(one[0], other[0])
    in_height = min(one[2], other[2]) - max(one[3], other[3])
    return in_time_s > 1e-9 and in_height > 1e-9


_LOADS = """
name = "loads"
horizon_s = 400.0
warmup_s = 50.0
replications = 3
loads = [0.3, 0.95]
policies = ["random", "least_in_flight", "always_first"]

[workload]
kind = "poisson"
rate_per_s = 1.5

[[endpoints]]
url = "http://a{1..2}/"
capacity = 2
parallel = 1
"""


@pytest.fixture(scope="module")
def by_load(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("studies"), _LOADS)


@pytest.fixture
def drawings(monkeypatch):
    """Return a list that gets every drawing of lines or rows."""
    found: list[Drawing] = []

    def spied(draw: Callable[..., Drawing]) -> Callable[..., Drawing]:
        def spy(*given: Any, **named: Any) -> Drawing:
            found.append(draw(*given, **named))
            return found[-1]

        return spy

    monkeypatch.setattr("balancer_simulator.report.charts.line_chart", spied(line_chart))
    monkeypatch.setattr(charts, "rows", spied(charts.rows))
    return found


def _words(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.axes.texts]


def _lines(drawing: Drawing) -> dict[str, Any]:
    """Return name -> values of each line."""
    return {words: line.get_ydata() for words, (line,) in drawing.legend}


def test_what_cannot_keep_up_is_named_and_not_drawn(by_load, drawings):
    assert not by_load.keeps_up("always_first")
    chart = ranking(by_load)
    drawing = drawings.pop()
    others = [by_load.metric(policy, "sojourn_mean_s") for policy in ("random", "least_in_flight")]
    assert drawing.axes.get_xlim()[1] < 2 * max(interval.high for interval in others), "it flattens the others"
    assert "cannot keep up" in _words(drawing) or "Not known: always_first" in chart.caption
    for chart in (tails(by_load, "sojourn"), tails(by_load, "wait"), curves(by_load), beside_best(by_load)):
        assert re.search(r"Not drawn, because they cannot keep up: .*always_first", chart.caption), chart.title
    times, waits, *by = map(_lines, drawings)
    assert set(times) == set(waits) == {"random", "least_in_flight"}
    for lines in by:  # it keeps up at the lower load
        assert [bool(np.isfinite(y)) for y in lines["always_first"]] == [True, False]
        assert all(np.isfinite(lines["random"]))


def test_if_nobody_keeps_up_all_are_drawn(by_load, drawings):
    alone = replace(by_load, records={"always_first": by_load.records["always_first"]})
    assert "Not drawn" not in tails(alone, "wait").caption
    assert {name for drawing in drawings for name in _lines(drawing)} == {"always_first"}


def test_what_is_too_short_has_no_dot(by_load, drawings):
    short = replace(by_load, records={policy: runs[:1] for policy, runs in by_load.records.items()})
    assert short.metric("random", "sojourn_p99_s").is_refused
    chart = ranking(short, "sojourn_p99_s")
    (drawing,) = drawings
    assert not any(np.isfinite(x) for line in drawing.axes.lines for x in line.get_xdata())
    assert _words(drawing).count("too short") >= 2
    assert "The dot is that of all observations of 3 replications" in chart.caption


def test_beside_the_best_is_a_paired_difference_in_percent(by_load, drawings):
    beside_best(by_load)
    (drawing,) = drawings
    there = by_load.at_load(0.3)
    first, second = there.ranking()[:2]
    more = there.difference(second, first, "sojourn_mean_s").mean / there.metric(first, "sojourn_mean_s").mean
    assert _lines(drawing)[second][0] == pytest.approx(100 * more)
    assert more > 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("policies", "tables"), [(1, [2]), (6, [7]), (7, [5, 4]), (14, [6, 6, 5])])
def test_no_table_of_figures_is_wider_than_a_page(study, policies, tables):
    names = [f"policy_{n}" for n in range(policies)]
    text = page(replace(study, records=dict.fromkeys(names, study.records["fifo"])))
    heads = re.findall(r'<table class="plain compared">\s*<thead>(.*?)</thead>', text, flags=re.S)
    assert [head.count("<th ") for head in heads] == tables
    shown = re.findall(r"<code>(policy_\d+)</code>", "".join(heads).replace("<wbr>", ""))
    assert shown == names


def test_of_many_policies_the_best_are_shown_and_the_others_folded(study):
    many = run_study(study.scenario, ["first", "random", "p2c", "round_robin", "jiq", "fifo", "c3"])
    charts = [chart for chart in draw_charts(many) if chart.title.startswith("Calls: ")]
    assert [chart.folded for chart in charts] == [place >= 3 for place in range(len(charts))]
    assert charts[0].title.removeprefix("Calls: ").split(", ")[0] == many.ranking()[0]
    text = page(many)
    assert "<summary>Figures of the other 3 policies</summary>" in text
    shown = re.findall(r"<th scope=\"col\" class=\"number\"><code>(\w+)</code>", text.replace("<wbr>", ""))
    assert shown == many.ranking()


def test_the_page_has_figures_by_kind_where_there_are_several(study):
    assert 'id="kinds"' not in page(study)
    kinds = [{"name": "short"}, {"name": "<long>", "work": {"kind": "deterministic", "mean_s": 9.0}}]
    text = page(run_study(study.scenario.changed(requests={"kinds": kinds}), ["fifo"]))
    section = re.search(r'<section id="kinds">.*?</section>', text, flags=re.S)
    assert section
    assert [line.count("<td") for line in section[0].split("<tr>")[2:]] == [6, 6]
    assert "<td>&lt;long&gt;</td>" in section[0]


def test_the_settings_of_a_report_leave_out_long_records(study):
    recorded = {"kind": "arrivals", "at_s": [0.5] * 3000}
    text = "\n".join(settings_lines(study.scenario.changed(workload=recorded)))
    assert '"... 3000 values"' in text
    assert text.count("0.5") == 3
    assert "http://a{1..2}/" in text
