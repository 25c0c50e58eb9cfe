"""The charts of a report: who was busy when, who got how much, who waited, what the new cases brought.

Decides what each chart shows, what it leaves out when there is too much, and says so in its caption. It must
not know pages, nor how a drawing is styled.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from balancer.endpoint import Outcome
from balancer.metrics import WaitStats
from balancer.pipeline.report import plots
from balancer.pipeline.report.chart import Chart
from balancer.pipeline.report.endpoints import EndpointLine, endpoint_lines
from balancer.pipeline.report.schedule import Window, busy_levels, lanes, longest, window
from balancer.pipeline.report.words import percent, seconds, shorten
from balancer.pipeline.results import ProblemResult, RunResult, Stage

__all__ = ["MOST_ROWS", "MOST_SPANS", "draw_charts"]

MOST_ROWS = 40  # more would not fit on a printed page
MOST_SPANS = 2000  # 576 units wide: beyond this neighbours cannot be told apart
_BINS = 90
_LABEL = 28
_ROW_IN = 0.19  # 8 pt letters are 0.11 in high
_FRAME_IN = 0.85  # scale, its label and a legend
_LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
_STAGES = {
    Stage.VALIDATE_INPUT: ("check input", plots.SKY),
    Stage.REFERENCE: ("reference solution", plots.BLUE),
    Stage.AGREE: ("other accepted", plots.GREEN),
    Stage.VALIDATE_SOLUTION: ("wrong submissions", plots.ORANGE),
}
_FAILED = (Outcome.FAILURE.value, Outcome.OVERLOAD.value)


def draw_charts(result: RunResult) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in the order they are read."""
    return tuple(_charts(result))


def _charts(result: RunResult) -> Iterator[Chart]:
    judged = [problem for problem in result.problems if problem.wrong]
    if judged:
        yield _killed(judged)
    lines = endpoint_lines(result)
    shown = _busiest(lines)
    when = window(result.spans)
    if when.length_s > 0 and shown:
        yield _utilisation(shown, when, _left_out(len(lines)))
        yield _leases(shown, when, _left_out(len(lines)))
    if any(line.leases for line in shown):
        yield _shares(shown, _left_out(len(lines)))
    if result.pool.wait_s.max > 0:
        yield _waits(result.pool.wait_s)


def _busiest(lines: Sequence[EndpointLine]) -> list[EndpointLine]:
    """Return at most `MOST_ROWS` lines, those with the most leases, in the pool's order."""
    ranked = sorted(lines, key=lambda line: -line.leases)
    return sorted(ranked[:MOST_ROWS], key=lambda line: line.number)


def _left_out(rows: int) -> str:
    return f" Shown are the {MOST_ROWS} busiest of {rows}." if rows > MOST_ROWS else ""


def _killed(problems: Sequence[ProblemResult]) -> Chart:
    shown = sorted(problems, key=lambda p: len(p.killed) / len(p.wrong))[:MOST_ROWS]
    drawing = plots.figure(plots.WIDE_IN, _FRAME_IN + _ROW_IN * len(shown))
    ax = plots.axes(drawing, xlabel="wrong submissions killed (%)")
    before = [100 * len(p.killed_before) / len(p.wrong) for p in shown]
    after = [100 * len(p.killed) / len(p.wrong) for p in shown]
    rows = range(len(shown))
    ax.hlines(rows, before, after, color=plots.ORANGE, linewidth=2.5)
    ax.plot(after, rows, "o", color=plots.ORANGE, markersize=6.5, markeredgewidth=0, clip_on=False)
    ax.plot(before, rows, "o", color=plots.INK, markersize=6.5, markerfacecolor="none", clip_on=False)
    for row, p in enumerate(shown):
        words = f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong)}"
        ax.text(1.03, row, words, transform=ax.get_yaxis_transform(), va="center", color=plots.INK, **plots.PLAIN)
    ax.set_xlim(0, 100)
    plots.row_labels(ax, [shorten(p.id, _LABEL) for p in shown])
    marks = {"color": "none", "marker": "o", "markersize": 6.5}
    entries = (
        Line2D([], [], markeredgecolor=plots.INK, markerfacecolor="none", label="before: sample data", **marks),
        Line2D([], [], markerfacecolor=plots.ORANGE, markeredgewidth=0, label="after: all cases", **marks),
    )
    plots.legend(drawing, entries)
    more = f" Shown are {MOST_ROWS} of {len(problems)}; the table has them all." if len(problems) > MOST_ROWS else ""
    caption = f"For each problem with wrong submissions, the weakest first: the further right, the better.{more}"
    return Chart("Wrong submissions killed, before and after", caption, plots.to_svg(drawing, "killed"))


def _utilisation(lines: Sequence[EndpointLine], when: Window, left_out: str) -> Chart:
    drawing = plots.figure(plots.WIDE_IN, _FRAME_IN + _ROW_IN * len(lines))
    ax = plots.axes(drawing, xlabel="time since the first lease (s)")
    ax.grid(visible=False)
    plots.boxes(ax, [(0, when.length_s, row - 0.42, row + 0.42) for row in range(len(lines))], plots.FAINT, alpha=0.12)
    for level, corners in _heat(lines, when).items():
        plots.boxes(ax, corners, plots.BLUE, alpha=_LEVELS[level])
    ax.set_xlim(0, when.length_s)
    plots.row_labels(ax, [line.label(_LABEL) for line in lines])
    plots.legend(drawing, [_patch(words, plots.BLUE, alpha) for words, alpha in _level_names()])
    caption = (
        f"Part of an endpoint's slots that were leased, over {_BINS} equal parts of the makespan; "
        f"empty where none was.{left_out}"
    )
    return Chart("Utilisation over time", caption, plots.to_svg(drawing, "heat"))


def _heat(lines: Sequence[EndpointLine], when: Window) -> dict[int, list[plots.Box]]:
    """Return the rectangles of each level; neighbours of the same level are one."""
    width_s = when.length_s / _BINS
    found: defaultdict[int, list[plots.Box]] = defaultdict(list)
    for row, line in enumerate(lines):
        busy = busy_levels(line.spans, when, _BINS, capacity=line.capacity)
        levels = [min(int(part * len(_LEVELS)), len(_LEVELS) - 1) if part > 0 else None for part in busy]
        start = 0
        for end in range(1, _BINS + 1):
            if end == _BINS or levels[end] != levels[start]:
                level = levels[start]
                if level is not None:
                    found[level].append((start * width_s, end * width_s, row - 0.42, row + 0.42))
                start = end
    return found


def _level_names() -> Iterator[tuple[str, float]]:
    low = 0.0
    for high in _LEVELS:
        yield (f"{100 * low:.0f}\u2013{100 * high:.0f}%", high)
        low = high


def _leases(lines: Sequence[EndpointLine], when: Window, left_out: str) -> Chart:
    spans = [span for line in lines for span in line.spans]
    kept = {id(span) for span in longest(spans, MOST_SPANS)}
    slots = max(line.capacity for line in lines)
    row_in = max(_ROW_IN, min(0.09 * slots, 0.5, 8.0 / len(lines)))
    drawing = plots.figure(plots.WIDE_IN, _FRAME_IN + row_in * len(lines))
    ax = plots.axes(drawing, xlabel="time since the first lease (s)")
    corners: defaultdict[str, list[plots.Box]] = defaultdict(list)
    for row, line in enumerate(lines):
        placed = lanes(line.spans, tolerance_s=when.length_s / 1000)
        height = 0.86 / max([line.capacity, *(lane + 1 for lane, _ in placed)])
        for lane, span in placed:
            if id(span) in kept:
                bottom = row - 0.43 + lane * height
                box = (span.started_s - when.start_s, span.ended_s - when.start_s, bottom, bottom + 0.86 * height)
                corners[plots.INK if span.outcome in _FAILED else _STAGES[span.stage][1]].append(box)
    for colour, found in corners.items():
        plots.boxes(ax, found, colour)
    ax.hlines([row + 0.5 for row in range(len(lines) - 1)], 0, when.length_s, color=plots.FAINT, linewidth=0.4)
    ax.set_xlim(0, when.length_s)
    plots.row_labels(ax, [line.label(_LABEL) for line in lines])
    names = [*_STAGES.values(), ("failed or overloaded", plots.INK)]
    plots.legend(drawing, [_patch(words, colour, 1.0) for words, colour in names])
    thinned = f" Drawn are the {MOST_SPANS} longest of {len(spans)} leases." if len(spans) > MOST_SPANS else ""
    caption = f"One bar a lease, one line a slot.{thinned}{left_out}"
    return Chart("Leases", caption, plots.to_svg(drawing, "leases"))


def _shares(lines: Sequence[EndpointLine], left_out: str) -> Chart:
    drawing = plots.figure(plots.HALF_IN, _FRAME_IN + _ROW_IN * max(3, len(lines)))
    ax = plots.axes(drawing, xlabel="part of all leases (%)")
    rows = range(len(lines))
    ax.barh(rows, [100 * line.share for line in lines], height=0.6, color=plots.SKY)
    ax.plot([100 * line.due for line in lines], rows, "|", color=plots.INK, markersize=9, markeredgewidth=1.6)
    ax.set_xlim(0, 108 * max(max(line.share, line.due) for line in lines))
    plots.row_labels(ax, [line.label(20) for line in lines])
    due = Line2D([], [], color="none", marker="|", markeredgecolor=plots.INK, markersize=9, label="by weight")
    plots.legend(drawing, (_patch("share", plots.SKY, 1.0), due))
    most = max(lines, key=lambda line: line.share)
    caption = f"The most went to endpoint {most.number}: {percent(most.share)}.{left_out}"
    return Chart("Share of leases against weight", caption, plots.to_svg(drawing, "shares"), wide=False)


def _waits(waits: WaitStats) -> Chart:
    names = [field.name for field in fields(waits)]
    values_s = [getattr(waits, name) for name in names]
    scale, unit = (1.0, "s") if waits.max >= 1 else (1000.0, "ms")
    drawing = plots.figure(plots.HALF_IN, _FRAME_IN + _ROW_IN * len(names))
    ax = plots.axes(drawing, xlabel=f"time waited for a lease ({unit})")
    ax.barh(range(len(names)), [scale * value for value in values_s], height=0.6, color=plots.SKY)
    for row, value_s in enumerate(values_s):
        ax.text(
            scale * (value_s + 0.015 * waits.max), row, seconds(value_s), va="center", color=plots.INK, **plots.PLAIN
        )
    ax.set_xlim(0, 1.3 * scale * waits.max)
    plots.row_labels(ax, names)
    return Chart("Waits", "Quantiles over all leases granted.", plots.to_svg(drawing, "waits"), wide=False)


def _patch(words: str, colour: str, alpha: float) -> Patch:
    return Patch(facecolor=colour, edgecolor="none", alpha=alpha, label=words)
