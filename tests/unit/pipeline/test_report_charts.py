"""Charts: the same bytes for the same data, whoever draws beside."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from balancer.core.metrics import WaitStats
from balancer.pipeline.report.charts import MOST_ROWS, MOST_SPANS, draw_charts
from balancer.pipeline.results.run_result import RunResult
from balancer.reporting import charts
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


def test_threads_draw_the_same_bytes() -> None:
    alone = draw_charts(_SMALL)
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(draw_charts, [_SMALL] * 3))
    assert all(drawn == alone for drawn in together)


def test_a_problem_has_its_own_dots_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    dotted: dict[bool, list[float]] = {}
    worded: list[str] = []
    monkeypatch.setattr(charts, "dots", lambda drawing, values, hollow=False: dotted.update({hollow: list(values)}))
    monkeypatch.setattr(charts, "beside", lambda drawing, row, words: worded.append(words))
    draw_charts(replace(made_up_run(problems=8, cases=10), spans=()))
    problems = sorted(made_up_run(problems=8, cases=10).problems, key=lambda p: len(p.killed) / len(p.wrong))
    assert any(len(p.killed_before) < len(p.killed) for p in problems)
    assert dotted[True] == [100 * len(p.killed_before) / len(p.wrong) for p in problems]
    assert dotted[False] == [100 * len(p.killed) / len(p.wrong) for p in problems]
    assert worded[:8] == [f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong)}" for p in problems]


def test_what_is_left_out_is_said() -> None:
    many = made_up_run(problems=1, cases=500, endpoints=MOST_ROWS + 2, capacity=1)
    assert len(many.spans) > MOST_SPANS
    captions = {chart.title: chart.caption for chart in draw_charts(many)}
    assert f"the {MOST_ROWS} busiest of {MOST_ROWS + 2}" in captions["Utilisation over time"]
    assert f"the {MOST_SPANS} longest of" in captions["Leases"]
    assert "busiest" not in "".join(chart.caption for chart in draw_charts(_SMALL))
