"""The page and its charts, however much there is to show: all calls are drawn, and tables stay as wide as a page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from balancer_simulator.report.charts import curves, gantt
from balancer_simulator.report.html import page
from balancer_simulator.scenario.scenario import load_scenario
from balancer_simulator.studies.study import Study, run_study

from balancer.reporting import rows
from balancer.reporting.lines import line_chart

_SCENARIO = """
name = "batch"
horizon_s = 500.0
replications = 2
policies = ["fifo"]

[workload]
kind = "batch"
samples = 3
stages = [{ name = "one", tasks = 4, workers = 2 }, { name = "two", tasks = 6, workers = 3 }]

[[endpoints]]
url = "http://a{1..2}/"
capacity = 1
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("studies") / "scenario.toml"
    path.write_text(_SCENARIO)
    return run_study(load_scenario(path))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[rows.Box]:
    """Return a list that gets every box that a chart draws."""
    found: list[rows.Box] = []
    draw: Callable[..., None] = rows.boxes

    def spy(ax: Any, corners: Sequence[rows.Box], colour: str, **given: Any) -> None:
        found.extend(corners)
        draw(ax, corners, colour, **given)

    monkeypatch.setattr(rows, "boxes", spy)
    return found


@pytest.mark.parametrize("most", [1000, 20])
def test_every_call_is_drawn_however_few_blocks_there_may_be(
    study: Study, drawn: list[rows.Box], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("balancer_simulator.report.charts._MOST_BLOCKS", most)
    chart = gantt(study, "fifo")
    spans = study.records["fifo"][0].spans
    assert ("are drawn together" in chart.caption) == (most < len(spans))
    assert len(drawn) <= 2 * most  # a box for each of the two stages of a block
    slot = max(top - bottom for _, _, top, bottom in drawn)
    used_s = sum((right - left) * (top - bottom) for left, right, top, bottom in drawn) / slot
    assert used_s == pytest.approx(sum(span.ended_s - span.started_s for span in spans))
    assert not any(_overlap(*pair) for pair in combinations(drawn, 2))


def _overlap(one: rows.Box, other: rows.Box) -> bool:
    """Return whether two boxes share more than an edge; y grows downwards."""
    in_time_s = min(one[1], other[1]) - max(one[0], other[0])
    in_height = min(one[2], other[2]) - max(one[3], other[3])
    return in_time_s > 1e-9 and in_height > 1e-9


def test_a_load_of_1_has_a_mark(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = []

    def spy(*given: Any, **named: Any) -> Any:
        drawing, ax = line_chart(*given, **named)
        axes.append((drawing, ax))
        return drawing, ax

    monkeypatch.setattr("balancer_simulator.report.charts.line_chart", spy)
    curves(replace(study, curves=dict.fromkeys((0.3, 0.95), study.records)))
    ((drawing, ax),) = axes
    drawing.draw_without_rendering()
    low, high = ax.get_xlim()
    marks = {label.get_text() for label, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if low < x < high}
    assert {"0.3", "0.5", "1"} <= marks


@pytest.mark.parametrize(("policies", "tables"), [(1, [1]), (6, [6]), (7, [4, 4]), (14, [5, 5, 5])])
def test_no_table_of_figures_is_wider_than_a_page(study: Study, policies: int, tables: list[int]) -> None:
    names = [f"policy_{n}" for n in range(policies)]
    text = page(replace(study, records=dict.fromkeys(names, study.records["fifo"])))
    heads = re.findall(r'<table class="plain compared">\s*<thead>(.*?)</thead>', text, flags=re.S)
    assert [head.count("<th ") for head in heads] == tables
    shown = re.findall(r"<code>(policy_\d+)</code>", "".join(heads).replace("<wbr>", ""))
    assert shown == names


def test_a_figure_may_be_broken_only_between_its_parts(study: Study) -> None:
    text = page(study)
    cell = re.search(
        r'<td class="number">(<span class="whole">[^<]*</span>) <span class="whole">\u00b1[^<]*</span>', text
    )
    assert cell, "a value and its interval"
