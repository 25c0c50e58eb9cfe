"""Charts of the pipeline's report: kills, utilisation, leases, shares, waits.

Each chart decides what to leave out when there is too much, and its caption says so. The style is in
`balancer.reporting`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields

from balancer.core.metrics import WaitStats
from balancer.endpoint import Outcome
from balancer.pipeline.report.tables import EndpointLine, endpoint_lines, moment
from balancer.pipeline.results.run_result import FirstKill, ProblemResult, RunResult, RunStage
from balancer.pipeline.results.scores import Rate, RoundScores
from balancer.reporting import charts
from balancer.reporting.charts import Box, ChartLine, line_chart, narrow_svg, to_svg
from balancer.reporting.document import Chart
from balancer.reporting.schedule import Window, busy_levels, lanes, longest, window
from balancer.reporting.words import percent, seconds, shorten

__all__ = ["KILLED", "MOST_ROWS", "MOST_SPANS", "draw_charts", "kills_over_time"]

MOST_ROWS = 40  # more would not fit on a printed page
MOST_SPANS = 2000  # 576 units wide: more could not be told apart
KILLED = "Wrong submissions killed, before and after"
_BINS = 90
_LABEL = 28  # letters: a fifth of a whole page's width
_SHORT_LABEL = 20
_TIME = "time since the first lease (s)"
_STAGES = {
    RunStage.GENERATE: ("make inputs", charts.PURPLE),
    RunStage.VALIDATE_INPUT: ("check input", charts.SKY),
    RunStage.REFERENCE: ("reference solution", charts.BLUE),
    RunStage.AGREE: ("other accepted", charts.GREEN),
    RunStage.VALIDATE_SOLUTION: ("wrong submissions", charts.ORANGE),
}
_FAILED = (Outcome.FAILURE.value, Outcome.OVERLOAD.value)


def draw_charts(result: RunResult) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in the order of the report."""
    return tuple(_charts(result))


def _charts(result: RunResult) -> Iterator[Chart]:
    judged = [problem for problem in result.problems if problem.wrong_judged]
    if len(result.scores) > 1:
        yield _rounds(result.scores)
    if result.first_kills and (len(result.scores) > 2 or result.timed):
        yield kills_over_time(result.first_kills)
    if judged:
        yield _killed(judged, result.totals.problems)
    lines = endpoint_lines(result)
    shown = _busiest(lines)
    when = window(result.spans)
    if when.length_s > 0 and shown:
        left_out = f"{_sampled(result)}{_left_out(len(lines))}"
        yield _utilisation(shown, when, left_out, result.one_in)
        yield _leases(shown, when, left_out)
    if len(shown) > 1 and any(line.leases for line in shown):
        yield _shares(shown, _left_out(len(lines)))
    if result.pool.wait_s.max > 0:
        yield _waits(result.pool.wait_s)


def _busiest(lines: Sequence[EndpointLine]) -> list[EndpointLine]:
    """Return at most `MOST_ROWS` lines, those with the most leases, in the pool's order."""
    ranked = sorted(lines, key=lambda line: -line.leases)
    return sorted(ranked[:MOST_ROWS], key=lambda line: line.number)


def _left_out(rows: int) -> str:
    return f" Shown are the {MOST_ROWS} busiest of {rows}." if rows > MOST_ROWS else ""


def _sampled(result: RunResult) -> str:
    if result.one_in == 1:
        return ""
    return f" Drawn from every {result.one_in}th of {result.work.leases} leases."


def _rounds(scores: Sequence[RoundScores]) -> Chart:
    drawn = (("wrong rejected", "tnr_micro"), ("accepted kept", "tpr_micro"), ("verifier accuracy", "accuracy"))
    lines = []
    for name, attribute in drawn:
        rates: list[Rate | None] = [getattr(each, attribute) for each in scores]
        known = [(each.rounds, rate) for each, rate in zip(scores, rates, strict=True) if rate is not None]
        lines.append(
            ChartLine(
                name,
                [rounds for rounds, _ in known],
                [100 * rate.value for _, rate in known],
                [100 * (rate.value if rate.low is None else rate.low) for _, rate in known],
                [100 * (rate.value if rate.high is None else rate.high) for _, rate in known],
            )
        )
    drawing = line_chart(lines, xlabel="", ylabel="%", width=charts.HALF, height=130.0)
    drawing.axes.set_xticks([each.rounds for each in scores], [moment(each.rounds) for each in scores])
    drawing.axes.set_ylim(-3, 103)
    caption = "All problems together."
    if any(each.has_intervals for each in scores):
        caption += " A vertical line is the 95% interval, if other problems were drawn."
    return Chart("Round by round", caption, to_svg(drawing), wide=False)


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
    return Chart(KILLED, caption, to_svg(drawing), narrow=narrow_svg(drawing))


def _utilisation(lines: Sequence[EndpointLine], when: Window, left_out: str, one_in: int) -> Chart:
    drawing = charts.heat_map(
        [line.label(_LABEL) for line in lines],
        [
            [min(1.0, one_in * level) for level in busy_levels(line.spans, when, _BINS, capacity=line.capacity)]
            for line in lines
        ],
        ends=(0.0, when.length_s),
        xlabel=_TIME,
        label="share of its slots in use",
        nothing="no lease",
    )
    caption = f"Over {_BINS} equal parts of the makespan.{left_out}"
    return Chart("Utilisation over time", caption, to_svg(drawing))


def _leases(lines: Sequence[EndpointLine], when: Window, left_out: str) -> Chart:
    labels = [line.label(_LABEL) for line in lines]
    most_slots = max(line.capacity for line in lines)
    drawing = charts.slot_rows(labels, slots=most_slots, length=when.length_s, xlabel=_TIME)
    for colour, bars in _bars(lines, when).items():
        charts.boxes(drawing, bars, colour)
    names = [*_STAGES.values(), ("failed or overloaded", charts.INK)]
    drawing.legend = [charts.swatch(words, colour) for words, colour in names]
    total = sum(len(line.spans) for line in lines)
    thinned = f" Drawn are the {MOST_SPANS} longest of {total} leases." if total > MOST_SPANS else ""
    caption = f"A bar is a lease, a line is a slot.{thinned}{left_out}"
    return Chart("Leases", caption, to_svg(drawing))


def _bars(lines: Sequence[EndpointLine], when: Window) -> dict[str, list[Box]]:
    """Return the bars of the longest leases, by colour."""
    kept = {id(span) for span in longest([span for line in lines for span in line.spans], MOST_SPANS)}
    found: defaultdict[str, list[Box]] = defaultdict(list)
    for row, line in enumerate(lines):
        placed = lanes(line.spans, tolerance_s=when.length_s / 1000)
        height = 0.86 / max([line.capacity, *(lane + 1 for lane, _ in placed)])
        for lane, span in placed:
            if id(span) in kept:
                bottom = row - 0.43 + lane * height
                left, right = span.started_s - when.start_s, span.ended_s - when.start_s
                colour = charts.INK if span.outcome in _FAILED else _STAGES[span.stage][1]
                found[colour].append((left, right, bottom, bottom + 0.86 * height))
    return found


def _shares(lines: Sequence[EndpointLine], left_out: str) -> Chart:
    labels = [line.label(_SHORT_LABEL) for line in lines]
    shares = [line.share for line in lines]
    drawing = charts.share_bars(labels, shares, [line.due for line in lines], xlabel="share of all leases")
    caption = f"From {percent(min(shares), digits=1)} to {percent(max(shares), digits=1)}.{left_out}"
    return Chart("Share of leases against weight", caption, to_svg(drawing), wide=False)


def _waits(waits: WaitStats) -> Chart:
    values_s = {field.name: float(getattr(waits, field.name)) for field in fields(waits)}
    scale, unit = (1.0, "s") if waits.max >= 1 else (1000.0, "ms")
    drawing = charts.rows(list(values_s), width=charts.HALF, xlabel=f"wait for a lease ({unit})")
    charts.boxes(drawing, [(0, scale * s, row - 0.3, row + 0.3) for row, s in enumerate(values_s.values())], charts.SKY)
    for row, value_s in enumerate(values_s.values()):
        charts.remark(drawing, scale * value_s, row, seconds(value_s))
    drawing.axes.set_xlim(0, 1.3 * scale * waits.max)
    return Chart("Waits", "Over all granted leases.", to_svg(drawing), wide=False)


_MOST_GENERATORS = 5  # with their own line
_LEAST_S = 0.01
_OWN = "own data"


def kills_over_time(kills: Sequence[FirstKill]) -> Chart:
    """Return the chart of wrong submissions killed against the seconds for which their problem was at work.

    Args:
        kills: by time; at least one.
    """
    by = Counter(_by(kill) for kill in kills)
    shown = [name for name, _ in sorted(by.items(), key=lambda each: (-each[1], each[0]))[:_MOST_GENERATORS]]
    end_s = 1.05 * max(_LEAST_S, kills[-1].at_s)  # so that the last step is visible
    lines = [_steps("all", kills, end_s)]
    if len(by) > 1:
        lines += [_steps(name, [kill for kill in kills if _by(kill) == name], end_s) for name in shown]
    drawing = line_chart(
        lines,
        xlabel="time at work on the problem (s)",
        ylabel="wrong submissions killed",
        width=charts.WIDE,
        height=150.0,
        xscale="log",
    )
    drawing.axes.set_ylim(0, drawing.axes.get_ylim()[1])
    left_out = f" Shown are the {_MOST_GENERATORS} of {len(by)} that killed most." if len(by) > _MOST_GENERATORS else ""
    caption = (
        "All problems together, each from its own beginning. A kill belongs to the generator of the first case that "
        f"rejects the submission.{left_out}"
    )
    return Chart("Kills over time", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def _by(kill: FirstKill) -> str:
    return _OWN if kill.sample else kill.generator


def _steps(name: str, kills: Sequence[FirstKill], end_s: float) -> ChartLine:
    xs: list[float] = []
    ys: list[float] = []
    for number, kill in enumerate(kills):
        at_s = max(_LEAST_S, kill.at_s)
        xs += [at_s, at_s]
        ys += [number, number + 1]
    return ChartLine(name, [*xs, end_s], [*ys, len(kills)])
