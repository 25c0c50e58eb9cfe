"""Charts: the same bytes for the same data, whoever draws beside."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import pytest

from balancer.metrics import WaitStats
from balancer.pipeline.report import plots
from balancer.pipeline.report.charts import MOST_ROWS, MOST_SPANS, draw_charts
from balancer.pipeline.report.plots import boxes, drawable, remark, rows, to_svg
from balancer.pipeline.results import RunResult
from tests.unit.pipeline.report_results import empty_run, made_up_run

_SMALL = made_up_run(problems=3, cases=6, endpoints=3, capacity=2)


def _titles(result: RunResult) -> list[str]:
    return [chart.title for chart in draw_charts(result)]


def test_all_charts_are_drawn_where_there_is_something_to_show() -> None:
    assert _titles(_SMALL) == [
        "Wrong submissions killed, before and after",
        "Utilisation over time",
        "Leases",
        "Share of leases against weight",
        "Waits",
    ]


def test_what_has_nothing_to_show_is_not_drawn() -> None:
    assert _titles(empty_run()) == []
    alone = made_up_run(problems=1, cases=3, wrong=0, endpoints=1, capacity=1)
    assert _titles(replace(alone, pool=replace(alone.pool, wait_s=WaitStats()))) == ["Utilisation over time", "Leases"]


def test_threads_draw_the_same_bytes_and_leave_the_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    alone = draw_charts(_SMALL)
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(draw_charts, [_SMALL] * 3))
    assert all(charts == alone for charts in together)
    assert dict(matplotlib.rcParams) == before


def test_a_chart_is_an_svg_element_in_the_page_colours() -> None:
    for chart in draw_charts(_SMALL):
        root = ElementTree.fromstring(chart.svg)
        assert root.tag.endswith("}svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert "var(--ink)" in chart.svg
        assert not re.search(r"<!--|<\?xml|<!DOCTYPE|<metadata|<style|#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", chart.svg)


def test_ids_of_all_charts_are_different_and_are_used() -> None:
    svgs = [chart.svg for chart in draw_charts(_SMALL)]
    ids = [each for svg in svgs for each in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in svgs:
        assert set(re.findall(r' id="([^"]+)"', svg)) == set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{$", "a_b", "<b>&\"'", "--><script>", "\u65e5\u672c", "\x00\ud800"])
def test_names_are_drawn_as_they_are(name: str) -> None:
    drawing, ax = rows([name], width_in=4.0, xlabel="x")
    remark(ax, 0.0, 0, name)
    svg = to_svg(drawing, "x")
    ElementTree.fromstring(svg)
    assert "script" not in svg
    assert len(re.findall("<use ", svg)) >= 2 * len(name.replace(" ", ""))  # a glyph for each letter, twice


def test_a_problem_has_its_own_dots_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    dotted: dict[bool, list[float]] = {}
    worded: list[str] = []
    monkeypatch.setattr(plots, "dots", lambda ax, values, hollow=False: dotted.update({hollow: list(values)}))
    monkeypatch.setattr(plots, "remark", lambda ax, x, row, words, beside=False: worded.append(words))
    draw_charts(replace(made_up_run(problems=8, cases=10), spans=()))
    problems = sorted(made_up_run(problems=8, cases=10).problems, key=lambda p: len(p.killed) / len(p.wrong))
    assert any(len(p.killed_before) < len(p.killed) for p in problems)
    assert dotted[True] == [100 * len(p.killed_before) / len(p.wrong) for p in problems]
    assert dotted[False] == [100 * len(p.killed) / len(p.wrong) for p in problems]
    assert worded[:8] == [f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong)}" for p in problems]


def test_what_the_font_lacks_has_a_sign() -> None:
    assert drawable("two\nlines") == "two lines"
    assert drawable("gr\u00f6\u00dfer \u2192 \u65e5") == "gr\u00f6\u00dfer \u2192 \ufffd"


def test_many_boxes_are_one_shape() -> None:
    drawing, ax = rows(["a"], width_in=4.0, xlabel="x")
    ax.set_xlim(0, 100)
    empty = to_svg(drawing, "x").count("<path")
    boxes(ax, [(n, n + 0.5, -0.4, 0.4) for n in range(100)], "#56b4e9")
    svg = to_svg(drawing, "x")
    assert svg.count("<path") == empty + 1
    assert max(d.count("z") for d in re.findall(r' d="([^"]*)"', svg)) == 100


@pytest.mark.parametrize("endpoints", [1, 32, 50])
def test_labels_do_not_overlap_however_many_endpoints(endpoints: int) -> None:
    labels = [f"{n}  sandbox.example.org:8080" for n in range(min(endpoints, MOST_ROWS))]
    drawing, ax = rows(labels, width_in=8.0, xlabel="time (s)")
    drawing.draw_without_rendering()
    found = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(lower.y1 < upper.y0 for upper, lower in pairwise(found))
    assert all(box.x0 >= 0 for box in found)
    assert ax.get_window_extent().width > 300


def test_what_is_left_out_is_said() -> None:
    many = made_up_run(problems=1, cases=500, endpoints=MOST_ROWS + 2, capacity=1)
    assert len(many.spans) > MOST_SPANS
    captions = {chart.title: chart.caption for chart in draw_charts(many)}
    assert f"the {MOST_ROWS} busiest of {MOST_ROWS + 2}" in captions["Utilisation over time"]
    assert f"the {MOST_SPANS} longest of" in captions["Leases"]
    assert "busiest" not in "".join(chart.caption for chart in draw_charts(_SMALL))
