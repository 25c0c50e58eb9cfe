"""Chart of the pipeline's report: kills.

Decides what to leave out when there is too much, and its caption says so. The style is in `balancer.reporting`.
"""

from collections.abc import Sequence

from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import RunResult
from balancer.reporting import charts
from balancer.reporting.charts import to_svg
from balancer.reporting.document import Chart
from balancer.reporting.words import shorten

__all__ = ["draw_charts"]

_MOST_ROWS = 40  # more would not fit on a printed page
_LABEL = 28  # letters: a fifth of a whole page's width


def draw_charts(result: RunResult) -> tuple[Chart, ...]:
    """Return the charts that have something to show."""
    judged = [problem for problem in result.problems if problem.wrong_judged]
    return (_killed(judged, result.totals.problems),) if judged else ()


def _killed(problems: Sequence[ProblemResult], all_problems: int) -> Chart:
    shown = sorted(problems, key=lambda p: len(p.killed) / len(p.wrong_judged))[:_MOST_ROWS]
    labels = [shorten(p.id, _LABEL) for p in shown]
    drawing = charts.rows(labels, width=charts.WIDE, xlabel="wrong submissions killed (%)")
    drawing.axes.set_xlim(0, 100)
    before = [100 * len(p.killed_before) / len(p.wrong_judged) for p in shown]
    after = [100 * len(p.killed) / len(p.wrong_judged) for p in shown]
    bars = [(low, high, row - 0.09, row + 0.09) for row, (low, high) in enumerate(zip(before, after, strict=True))]
    charts.boxes(drawing, bars, charts.ORANGE)
    charts.dots(drawing, after)
    charts.dots(drawing, before, hollow=True)
    for row, p in enumerate(shown):
        words = f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong_judged)}"
        charts.beside(drawing, row, words)
    drawing.legend = (
        charts.dot_entry("before: the problem's own data", hollow=True),
        charts.dot_entry("after: with made-up cases"),
    )
    more = f" Shown are {_MOST_ROWS} of {len(problems)}; the table has them all." if len(problems) > _MOST_ROWS else ""
    if all_problems > len(problems) and not more:
        more = f" Shown are {len(shown)} of {all_problems}."
    caption = f"For each problem with judged wrong submissions, the weakest first. Further right is better.{more}"
    return Chart("Wrong submissions killed, before and after", caption, to_svg(drawing))
