"""What notebooks show of studies: tables, sentences, trends, limits for the next run, and progress."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from balancer_simulator import Closed, EndpointModel, Interval, Scenario, Study, StudyProgress, run_study
from balancer_simulator.report.charts import trend
from balancer_simulator.report.markdown import best_in_words, markdown_table
from balancer_simulator.studies.intervals import at_most_of, interval_of

from balancer.reporting.charts import ChartLine, Drawing, line_chart


def _study(makespans: dict[str, Sequence[float]], lost: dict[str, int] | None = None) -> Study:
    """Return a study of runs that ended at these instants, whose requests were lost so often (of 100)."""
    scenario = Scenario(workload=Closed(workers=1), endpoints=[EndpointModel(url="a")], horizon_s=5.0, replications=3)
    record = replace(run_study(scenario, ["fifo"]).records["fifo"][0], completed=100)
    return Study(
        scenario,
        {
            policy: tuple(replace(record, makespan_s=s, lost=(lost or {}).get(policy, 0)) for s in found)
            for policy, found in makespans.items()
        },
    )


def test_a_table_has_its_numbers_to_the_right_and_keeps_its_columns():
    assert (
        markdown_table(["x", "y"], [["a|b", "1"], ["c", "2"]]) == "| x | y |\n| :-- | --: |\n| a\\|b | 1 |\n| c | 2 |"
    )
    with pytest.raises(ValueError, match="row of 1 cells under 2 headings"):
        markdown_table(["x", "y"], [["a"]])


def test_who_cannot_be_told_apart_from_the_best_is_named_too():
    # Differences to the best: 2, -1, 1 and so 0.67 +- 3.8, which holds 0.
    study = _study({"best": [10.0, 11.0, 12.0], "alike": [12.0, 10.0, 13.0], "worse": [30.0, 31.0, 32.0]})
    words = best_in_words(study, "makespan_s")
    assert words.startswith("`best`")
    assert words.endswith("not distinguishable from `alike`")


def test_who_loses_more_is_never_as_good_as_the_best():
    study = _study({"lossy": [10.0, 11.0, 12.0], "sound": [10.0, 11.0, 12.0]}, lost={"lossy": 50})
    words = best_in_words(study, "makespan_s")
    assert words.startswith("`sound`")
    assert "lossy" not in words


def test_the_limit_for_the_next_run_is_that_of_the_tables():
    # mean 2, deviation 1, t(0.95; 2) = 2.919986, sqrt(1 + 1/3) = 1.154701
    assert at_most_of([1.0, 2.0, 3.0]) == pytest.approx(2 + 2.919986 * 1.154701, abs=1e-5)
    assert at_most_of([5.0, 5.0]) == 5.0
    with pytest.raises(ValueError, match="found 1 values"):
        at_most_of([1.0])


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets the lines, the label and the drawing of every chart of lines."""
    found: list[tuple[Sequence[ChartLine], str, Drawing]] = []

    def spy(lines: Sequence[ChartLine], **given: Any) -> Drawing:
        drawing = line_chart(lines, **given)
        found.append((lines, given["ylabel"], drawing))
        return drawing

    monkeypatch.setattr("balancer_simulator.report.charts.line_chart", spy)
    return found


def test_a_trend_has_a_line_for_each_name_and_strokes_only_where_there_is_an_interval(drawn):
    measured = {1.0: interval_of([10.0, 12.0]), 2.0: interval_of([5.0, 6.0])}
    limit = {1.0: Interval(8.0, math.nan, 1), 2.0: Interval(8.0, math.nan, 1)}
    assert trend({"measured": measured, "limit": limit}, "makespan_s", xlabel="hosts").title == "Makespan by hosts"
    trend({"limit": limit}, "makespan_s", xlabel="hosts")
    strokes = [[(line.name, len(line.low)) for line in lines] for lines, *_ in drawn]
    assert strokes == [[("measured", 2), ("limit", 0)], [("limit", 0)]]


def test_a_trend_of_long_times_is_in_hours(drawn):
    for seconds in (36_000.0, 36.0):
        trend({"a": {1.0: interval_of([seconds, seconds])}}, "makespan_s", xlabel="hosts")
    found = [(ylabel, list(lines[0].ys)) for lines, ylabel, _ in drawn]
    assert found == [("makespan (h)", [10.0]), ("makespan (s)", [36.0])]


def test_progress_in_a_notebook_is_plain_lines(monkeypatch, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    now_s = 0.0
    progress = StudyProgress(clock=lambda: now_s)  # not in a `with` block, so no thread shows it
    for done in range(1, 13):
        now_s = float(done)
        progress(done, 24)
    assert capsys.readouterr().err == "8/24 runs, 8 s, about 16 s left\n"
