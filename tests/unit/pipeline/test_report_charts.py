"""Charts: the same bytes for the same data, whoever draws beside."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from balancer.pipeline.report.charts import MOST_ROWS, draw_charts
from balancer.reporting import charts
from tests.unit.pipeline.report_results import empty_run, made_up_run

_SMALL = made_up_run(problems=3, cases=6, endpoints=3, capacity=2)
_KILLED, _USED = "Wrong submissions killed, before and after", "Utilisation over time"


def test_charts_are_drawn_where_there_is_something_to_show():
    nothing_wrong = made_up_run(problems=1, cases=3, wrong=0, endpoints=1, capacity=1)
    drawn = [[chart.title for chart in draw_charts(run)] for run in (_SMALL, empty_run(), nothing_wrong)]
    assert drawn == [[_KILLED, _USED], [], [_USED]]


def test_threads_draw_the_same_bytes():
    alone = draw_charts(_SMALL)
    with ThreadPoolExecutor(3) as threads:
        assert all(drawn == alone for drawn in threads.map(draw_charts, [_SMALL] * 3))


def test_a_problem_has_its_own_dots_and_counts(monkeypatch):
    dotted: dict[bool, list[float]] = {}
    worded: list[str] = []
    monkeypatch.setattr(charts, "dots", lambda drawing, values, hollow=False: dotted.update({hollow: list(values)}))
    monkeypatch.setattr(charts, "beside", lambda drawing, row, words: worded.append(words))
    run = replace(made_up_run(problems=8, cases=10), spans=())
    draw_charts(run)
    problems = sorted(run.problems, key=lambda p: len(p.killed) / len(p.wrong))
    assert any(len(p.killed_before) < len(p.killed) for p in problems)
    assert dotted[True] == [100 * len(p.killed_before) / len(p.wrong) for p in problems]
    assert dotted[False] == [100 * len(p.killed) / len(p.wrong) for p in problems]
    assert worded[:8] == [f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong)}" for p in problems]


def test_what_is_left_out_is_said():
    many = made_up_run(problems=1, cases=50, endpoints=MOST_ROWS + 2, capacity=1)
    said = ["".join(chart.caption for chart in draw_charts(run)) for run in (many, _SMALL)]
    assert [f"the {MOST_ROWS} busiest of {MOST_ROWS + 2}" in each for each in said] == [True, False]
