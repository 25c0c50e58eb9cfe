"""Charts of the pipeline's report: kills and utilisation.

Each chart decides what to leave out when there is too much, and its caption says so. The style is in
`balancer.reporting`.
"""

from collections.abc import Iterator, Sequence

from balancer.pipeline.report.tables import EndpointLine, endpoint_lines
from balancer.pipeline.results.run_result import ProblemResult, RunResult
from balancer.reporting import charts
from balancer.reporting.charts import to_svg
from balancer.reporting.document import Chart
from balancer.reporting.words import shorten

__all__ = ["KILLED", "MOST_ROWS", "UTILISATION", "draw_charts"]

MOST_ROWS = 40  # more would not fit on a printed page
KILLED = "Wrong submissions killed, before and after"
UTILISATION = "Utilisation over time"
_BINS = 90
_LABEL = 28  # letters: a fifth of a whole page's width
_TIME = "time since the first lease (s)"


def draw_charts(result: RunResult) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in the order of the report."""
    return tuple(_charts(result))


def _charts(result: RunResult) -> Iterator[Chart]:
    judged = [problem for problem in result.problems if problem.wrong_judged]
    if judged:
        yield _killed(judged, result.totals.problems)
    lines = endpoint_lines(result)
    shown = _busiest(lines)
    from_s = min((span.started_s for span in result.spans), default=0.0)
    to_s = max((span.ended_s for span in result.spans), default=0.0)
    if to_s > from_s and shown:
        yield _utilisation(shown, (from_s, to_s), f"{_sampled(result)}{_left_out(len(lines))}", result.one_in)


def _busiest(lines: Sequence[EndpointLine]) -> list[EndpointLine]:
    """Return at most `MOST_ROWS` lines, those with the most leases, in the pool's order."""
    ranked = sorted(lines, key=lambda line: -line.stats.leases)
    return sorted(ranked[:MOST_ROWS], key=lambda line: line.number)


def _left_out(rows: int) -> str:
    return f" Shown are the {MOST_ROWS} busiest of {rows}." if rows > MOST_ROWS else ""


def _sampled(result: RunResult) -> str:
    if result.one_in == 1:
        return ""
    return f" Drawn from every {result.one_in}th of {result.work.leases} leases."


def _killed(problems: Sequence[ProblemResult], all_problems: int) -> Chart:
    shown = sorted(problems, key=lambda p: len(p.killed) / len(p.wrong_judged))[:MOST_ROWS]
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
    more = f" Shown are {MOST_ROWS} of {len(problems)}; the table has them all." if len(problems) > MOST_ROWS else ""
    if all_problems > len(problems) and not more:
        more = f" Shown are {len(shown)} of {all_problems}."
    caption = f"For each problem with judged wrong submissions, the weakest first. Further right is better.{more}"
    return Chart(KILLED, caption, to_svg(drawing))


def _utilisation(lines: Sequence[EndpointLine], when: tuple[float, float], left_out: str, one_in: int) -> Chart:
    drawing = charts.heat_map(
        [line.label(_LABEL) for line in lines],
        [_levels(line, when, one_in) for line in lines],
        ends=(0.0, when[1] - when[0]),
        xlabel=_TIME,
        label="share of its slots in use",
        nothing="no lease",
    )
    caption = f"Over {_BINS} equal parts of the makespan.{left_out}"
    return Chart(UTILISATION, caption, to_svg(drawing))


def _levels(line: EndpointLine, when: tuple[float, float], one_in: int) -> list[float]:
    """Return, for each part of the time, the share of the endpoint's slots that was leased. `one_in`: of a result."""
    import numpy as np

    edges = np.linspace(*when, _BINS + 1)
    busy_s = np.zeros(_BINS)
    for span in line.spans:
        busy_s += np.clip(np.minimum(edges[1:], span.ended_s) - np.maximum(edges[:-1], span.started_s), 0, None)
    offered_s = (edges[1] - edges[0]) * max(1, line.stats.capacity)
    return np.minimum(1.0, one_in * busy_s / offered_s).tolist()  # type: ignore[no-any-return]
