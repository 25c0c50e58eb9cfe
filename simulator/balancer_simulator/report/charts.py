"""Charts of a study: ranking, curves, tails, utilisation, schedules, shares.

If there is too much to show, a chart leaves something out and its caption says so. A policy that cannot keep up is
named and not drawn: its times depend on the horizon, and beside them the others could not be told apart.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from balancer.reporting import charts
from balancer.reporting.charts import MOST_LINES, Box, ChartLine, Drawing, Kind, line_chart, narrow_svg, to_svg
from balancer.reporting.document import Chart
from balancer.reporting.schedule import lanes
from balancer.reporting.words import percent, shorten
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import CallSpan, Record
from balancer_simulator.studies.figures import figure_of, worded
from balancer_simulator.studies.intervals import QUANTILES, Interval
from balancer_simulator.studies.study import Study

__all__ = ["beside_best", "curves", "draw_charts", "gantt", "ranking", "shares", "tails", "trend", "utilisation"]

_MOST_ROWS: Final = 50  # more would not fit on a printed page
_MOST_OPEN: Final = 3  # charts of one kind; the others are folded
_MOST_BARS: Final = 4000  # 250 kB; beyond this neighbours cannot be told apart
_LONG_LABEL: Final = 44  # letters; the options at the end of a label matter
_LABEL: Final = 28  # letters: a fifth of a whole page's width
_SHORT_LABEL: Final = 18
_FAILED: Final = "failed"
_TIME: Final = "time since the start (s)"
_STROKES: Final = "the lines at the marks are 95% intervals."
_LOAD_ROOM: Final = 0.03
_BY_LOAD: Final = "offered load (part of what all slots could do)"
_FAR_LINES: Final = 3.0  # times what most lines reach: a higher line is cut
_PART_COLOURS: Final = (
    charts.BLUE,
    charts.ORANGE,
    charts.GREEN,
    charts.SKY,
    charts.PURPLE,
)  # neighbours differ in grey


def draw_charts(study: Study) -> tuple[Chart, ...]:
    """Return the charts that have something to show, in reading order."""
    return tuple(_charts(study))


def _charts(study: Study) -> Iterator[Chart]:
    if sum(study.default_metric in study.metrics(policy) for policy in study.policies) > 1:
        yield ranking(study)
    for name in ("cached_blocks", "imbalance") if study.scenario.has_keys else ():
        if all(name in study.metrics(policy) for policy in study.policies):
            yield ranking(study, name)
    if study.curves:
        yield curves(study)
        if len(study.policies) > 1:
            yield beside_best(study)
    if any(record.sojourn.count for records in study.records.values() for record in records):
        yield tails(study, "sojourn")
    if any(_merged(study, policy, "wait").quantile(0.999) > 0 for policy in _drawn(study, study.policies)):
        yield tails(study, "wait")
    yield from _once(study, utilisation)
    if study.scenario.is_batch:
        yield from _once(study, gantt)
    if len(study.scenario.by_url) > 1:
        yield from _once(study, shares)


def _once(study: Study, draw: Callable[[Study, str], Chart]) -> Iterator[Chart]:
    """Yield the chart of each policy, the best first; equal ones once, with the names of all their policies."""
    found: dict[tuple[str, str], tuple[Chart, list[str]]] = {}
    for policy in study.ranking():
        chart = draw(study, policy)
        found.setdefault((chart.svg, chart.caption), (chart, []))[1].append(policy)
    for place, (chart, (first, *others)) in enumerate(found.values()):
        title = f"{chart.title.removesuffix(first)}{', '.join([first, *others])}"
        yield replace(chart, title=title, folded=place >= _MOST_OPEN)


def ranking(study: Study, name: str | None = None) -> Chart:
    """Return one figure of each policy with its interval, the best first."""
    ranking = study.ranking(name)
    name = name or study.default_metric
    figure = figure_of(name)
    policies = [policy for policy in ranking if name in study.metrics(policy)]
    found = [study.metric(policy, name) for policy in policies]
    drawing = charts.rows(
        [shorten(policy, _LONG_LABEL) for policy in policies], width=charts.WIDE, xlabel=_axis(name), row=20.0
    )
    drawn = _drawn(study, policies)
    known = {n: i for n, i in enumerate(found) if policies[n] in drawn and not i.is_refused}
    near = _near([i.mean for i in known.values()])
    inside = {n: i for n, i in known.items() if i.mean <= near}
    end = 1.25 * max([1e-9, *(i.mean for i in inside.values())])
    end = max([end, *(1.05 * _high(i) for i in inside.values() if _high(i) <= 2 * end)])
    drawing.axes.set_xlim(0, end)
    charts.boxes(drawing, [(_low(i), min(_high(i), end), n - 0.12, n + 0.12) for n, i in inside.items()], charts.SKY)
    charts.dots(drawing, [inside[n].mean if n in inside else math.nan for n in range(len(found))])
    for row, (policy, interval) in enumerate(zip(policies, found, strict=True)):
        charts.beside(drawing, row, worded(interval, figure.unit))
        if row not in inside and not interval.is_refused:
            far = "cannot keep up" if policy not in drawn else "off the scale \N{RIGHTWARDS ARROW}"
            charts.inside(drawing, row, far)
    dot = "that of all observations of" if name in QUANTILES else "the mean over"
    caption = (
        f"{figure.meaning[0].upper()}{figure.meaning[1:]}. The dot is {dot} {study.scenario.replications} "
        "replications, the bar its 95% interval. It is hidden where it is shorter than the dot. "
        f"{figure.better.capitalize()} is better; policies that lose more requests are last."
    )
    if without := [policy for policy in ranking if policy not in policies]:
        caption += f" Not known: {', '.join(without)}."
    return Chart(f"Ranking by {figure.heading}", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def curves(study: Study, name: str = "sojourn_mean_s") -> Chart:
    """Return how a figure grows with the offered load, a line for each policy, as far as it keeps up."""
    loads = sorted(study.curves)
    lines = []
    for policy in study.ranking()[:MOST_LINES]:
        found = [_at(study.at_load(load), policy, name) for load in loads]
        lines.append(
            ChartLine(policy, loads, [i.mean for i in found], [_low(i) for i in found], [_high(i) for i in found])
        )
    lines = [line for line in lines if any(map(math.isfinite, line.ys))]
    scale: Kind = "log" if _is_wide([y for line in lines for y in line.ys]) else "linear"
    drawing = line_chart(lines, xlabel=_BY_LOAD, ylabel=_axis(name), width=charts.WIDE, yscale=scale)
    _dress_loads(drawing, loads)
    most = max((y for line in lines for y in line.ys if math.isfinite(y)), default=1.0)
    if scale == "linear":  # the means fill the picture, not the intervals
        drawing.axes.set_ylim(0.0, min(drawing.axes.get_ylim()[1], 1.3 * most))
    caption = (
        f"{figure_of(name).meaning[0].upper()}{figure_of(name).meaning[1:]}; {_STROKES}{_ends_of(study)}"
        f"{_left_out(study)}"
    )
    return Chart("Time by load", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def beside_best(study: Study, name: str = "sojourn_mean_s") -> Chart:
    """Return how much more than the best policy each one has, in percent, by the offered load.

    Near a load of 1 all lines of `curves` rise together; this chart shows their difference.
    """
    loads = sorted(study.curves)
    found: dict[str, list[Interval]] = {policy: [] for policy in study.ranking()[:MOST_LINES]}
    for load in loads:
        there = study.at_load(load)
        first = there.ranking(name)[0]
        known = name in there.metrics(first) and there.keeps_up(first)
        for policy, line in found.items():
            value = _at(there, policy, name) if known else _NOTHING
            more = there.difference(policy, first, name) if math.isfinite(value.mean) else _NOTHING
            part = 100 / there.metric(first, name).mean if known else math.nan
            line.append(Interval(more.mean * part, _half(more) * part, more.count))
    lines = [
        ChartLine(policy, loads, [i.mean for i in line], [_low(i) for i in line], [_high(i) for i in line])
        for policy, line in found.items()
        if any(math.isfinite(i.mean) for i in line)
    ]
    drawing = line_chart(lines, xlabel=_BY_LOAD, ylabel="more than the best (%)", width=charts.WIDE)
    _dress_loads(drawing, loads)
    far = _near([max(y for y in line.ys if math.isfinite(y)) for line in lines], times=_FAR_LINES)
    most = max((y for line in lines for y in line.ys if math.isfinite(y) and y <= far), default=1.0)
    drawing.axes.set_ylim(-0.04 * most, 1.15 * most or 1.0)
    heading = figure_of(name).heading
    caption = (
        f"By {heading}: 0 is the best policy at that load, 20 has 20% more. Differences are paired. The lines at the "
        f"marks are their 95% intervals, cut at the edge of the picture.{_ends_of(study)}{_left_out(study)}"
    )
    return Chart(f"Compared with the best, by load: {heading}", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def _at(study: Study, policy: str, name: str) -> Interval:
    """Return a figure of a policy at one load; an empty interval if it cannot keep up, or has no such figure."""
    found = study.metrics(policy).get(name, _NOTHING) if study.keeps_up(policy) else _NOTHING
    return _NOTHING if found.is_refused else found


def _ends_of(study: Study) -> str:
    """Return which policies cannot keep up, and from which load on."""
    ends: dict[str, float] = {}
    for load in sorted(study.curves, reverse=True):
        there = study.at_load(load)
        ends.update({policy: load for policy in study.ranking()[:MOST_LINES] if not there.keeps_up(policy)})
    named = ", ".join(f"{policy} from {load:g} on" for policy, load in ends.items())
    return f" Not drawn, because they cannot keep up: {named}." if named else ""


def _dress_loads(drawing: Drawing, loads: Sequence[float]) -> None:
    drawing.axes.set_xlim(min(loads) - _LOAD_ROOM, max(1.0, *loads) + _LOAD_ROOM)  # 1: where all slots are in use
    drawing.axes.locator_params(axis="x", nbins=10)


def trend(lines: Mapping[str, Mapping[float, Interval]], name: str, *, xlabel: str, title: str = "") -> Chart:
    """Return how a figure changes with a value: a line for each name, with strokes for its intervals.

    Args:
        lines: by name, the figure at each value; one without an interval (`half` is NaN), e.g. a deadline, has no
            strokes.
        name: of the figure.
        xlabel: the changed value, with its unit.
        title: default: the figure, by `xlabel`.
    """
    figure = figure_of(name)
    means = [interval.mean for line in lines.values() for interval in line.values()]
    hours = figure.unit == "s" and max(means) >= 9999.5  # as `worded` has it
    scale = 1 / 3600 if hours else 1.0
    drawing = line_chart(
        [_line_of(words, line, scale) for words, line in lines.items()],
        xlabel=xlabel,
        ylabel=f"{figure.heading} (h)" if hours else _axis(name),
        width=charts.WIDE,
    )
    if all(float(x).is_integer() for line in lines.values() for x in line):
        drawing.axes.locator_params(axis="x", integer=True)  # there is no half a host
    caption = f"{figure.meaning[0].upper()}{figure.meaning[1:]}; {_STROKES}"
    title = title or f"{figure.heading[0].upper()}{figure.heading[1:]} by {xlabel}"
    return Chart(title, caption, to_svg(drawing), narrow=narrow_svg(drawing))


def _line_of(words: str, line: Mapping[float, Interval], scale: float) -> ChartLine:
    xs = sorted(line)
    found = [line[x] for x in xs]
    if not any(math.isfinite(interval.half) for interval in found):
        return ChartLine(words, xs, [scale * i.mean for i in found])
    low, high = ([scale * end(i) for i in found] for end in (_low, _high))
    return ChartLine(words, xs, [scale * i.mean for i in found], low, high)


def tails(study: Study, which: Literal["wait", "sojourn"]) -> Chart:
    """Return the share of requests that took longer than a time: the inverted CDF, which shows the tail."""
    shown = _drawn(study, study.ranking())
    tallies = {policy: _merged(study, policy, which) for policy in shown}
    longest_s = [tally.quantile(0.999) for tally in tallies.values() if tally.count]
    scale: Kind = "log" if _is_wide(longest_s) else "linear"
    lines = [
        ChartLine(policy, *_tail(tally, up_to_s=math.inf if scale == "log" else max(longest_s)))
        for policy, tally in list(tallies.items())[:MOST_LINES]
        if tally.count
    ]
    idle = [line.name for line in lines if len(line.xs) < 2]
    lines = [line for line in lines if len(line.xs) > 1]
    words = {"wait": ("Waits", "waited longer for a lease"), "sojourn": ("Times of requests", "took longer")}
    title, verb = words[which]
    drawing = line_chart(
        lines, xlabel="time (s)", ylabel=f"share that {verb}", width=charts.WIDE, xscale=scale, yscale="log"
    )
    caption = (
        f"How likely it is that a request {verb} than the time below. Further left and down is better. "
        f"All {study.scenario.replications} replications together, without the rarest 0.1%."
        f"{_not_drawn(study, shown)}{_left_out(study)}"
    )
    if idle:
        caption += f" No line, because fewer than one in a thousand {verb}: {', '.join(idle)}."
    return Chart(f"{title}: the tail", caption, to_svg(drawing), narrow=narrow_svg(drawing))


def utilisation(study: Study, policy: str) -> Chart:
    """Return how busy each endpoint was over time, in the first replication."""
    record = study.records[policy][0]
    timeline = record.timeline
    shown = min(len(timeline.urls), _MOST_ROWS)
    end_s = float(timeline.edges_s[-1])
    drawing = charts.heat_map(
        [shorten(url, _LABEL) for url in timeline.urls[:shown]],
        timeline.utilisation[:shown].tolist(),
        ends=(0.0, end_s),
        xlabel=_TIME,
        label="share of its slots in use",
        nothing="no slot in use (idle, down or not in the pool)",
    )
    caption = f"In the first replication, over {timeline.utilisation.shape[1]} equal parts of the time."
    if shown < len(timeline.urls):
        caption += f" Shown are {shown} of {len(timeline.urls)} endpoints."
    return Chart(f"Utilisation over time: {policy}", caption, to_svg(drawing))


def shares(study: Study, policy: str) -> Chart:
    """Return the share of all calls at each endpoint, the mean over replications, beside its weight."""
    records = study.records[policy]
    endpoints = records[0].endpoints[:_MOST_ROWS]
    weights = sum(e.weight for e in records[0].endpoints)
    found = [sum(r.shares[e.url] for r in records) / len(records) for e in endpoints]
    labels = [shorten(e.url, _SHORT_LABEL) for e in endpoints]
    drawing = charts.share_bars(labels, found, [e.weight / weights for e in endpoints], xlabel="share of all calls")
    failed = [r.metrics.get("failed_calls", 0.0) for r in records]
    caption = (
        f"{percent(sum(failed) / len(failed), digits=1)} of all calls failed." if any(failed) else "No call failed."
    )
    if len(endpoints) < len(records[0].endpoints):
        caption += f" Shown are {len(endpoints)} of {len(records[0].endpoints)} endpoints."
    return Chart(f"Share of calls: {policy}", caption, to_svg(drawing), wide=False)


def gantt(study: Study, policy: str) -> Chart:
    """Return the first calls of the first replication: a bar is a call, a line of bars is a slot."""
    record = study.records[policy][0]
    urls = list(study.scenario.by_url)[:_MOST_ROWS]
    spans = sorted(record.spans, key=lambda span: span.started_s)[:_MOST_BARS]
    slots = {url: list(lanes([span for span in spans if span.url == url], tolerance_s=1e-9)) for url in urls}
    end_s = max((span.ended_s for span in spans), default=1.0)
    counts = {url: 1 + max((lane for lane, _ in each), default=0) for url, each in slots.items()}
    drawing = charts.slot_rows(
        [shorten(u, _LABEL) for u in urls], slots=max(counts.values()), length=end_s, xlabel=_TIME
    )
    colours = {**_colours(record), _FAILED: charts.INK}
    bars: defaultdict[str, list[Box]] = defaultdict(list)
    for row, (url, each) in enumerate(slots.items()):
        height = 0.86 / counts[url]
        for lane, span in each:
            bottom = row - 0.43 + (lane + 0.93) * height  # y grows downwards
            bars[_kind(span)].append((span.started_s, span.ended_s, bottom, bottom - 0.86 * height))
    for kind, boxes in bars.items():
        charts.boxes(drawing, boxes, colours[kind])
    drawing.legend = [charts.swatch(name, colour) for name, colour in colours.items()]
    caption = "The first replication. A bar is a call, a line is a slot."
    calls = sum(endpoint.calls for endpoint in record.endpoints)
    if len(spans) < calls:
        caption += f" Shown are the first {len(spans)} of {calls} calls."
    if len(urls) < len(study.scenario.by_url):
        caption += f" Shown are {len(urls)} of {len(study.scenario.by_url)} endpoints."
    return Chart(f"Calls: {policy}", caption, to_svg(drawing))


def _kind(span: CallSpan) -> str:
    return _stage(span) if span.ok else _FAILED


def _colours(record: Record) -> dict[str, str]:
    stages = dict.fromkeys(_stage(span) for span in record.spans)
    return {stage: _PART_COLOURS[n % len(_PART_COLOURS)] for n, stage in enumerate(stages)}


def _stage(span: CallSpan) -> str:
    return span.part.partition(": ")[2] or span.part


_NOTHING: Final = Interval(math.nan, math.nan, 0)


def _merged(study: Study, policy: str, which: Literal["wait", "sojourn"]) -> CensoredHistogram:
    return CensoredHistogram.merged(getattr(record, which) for record in study.records[policy])


def _tail(tally: CensoredHistogram, *, up_to_s: float) -> tuple[list[float], list[float]]:
    """Return times and the share that took longer, down to one in a thousand."""
    values, larger = tally.tail()
    kept = (larger >= 0.001) & (values <= up_to_s) & (values >= tally.most / 1e5)
    return values[kept].tolist(), larger[kept].tolist()


def _drawn(study: Study, policies: Sequence[str]) -> list[str]:
    """Return the policies to draw: those that keep up, or all if none does."""
    return [policy for policy in policies if study.keeps_up(policy)] or list(policies)


def _not_drawn(study: Study, shown: Sequence[str]) -> str:
    names = [policy for policy in study.policies if policy not in shown]
    return f" Not drawn, because they cannot keep up: {', '.join(names)}." if names else ""


def _near(values: Sequence[float], *, times: float = 5.0) -> float:
    """Return the end of a scale that fits most of `values`: `times` their median."""
    known = sorted(value for value in values if math.isfinite(value))
    middle = known[(len(known) - 1) // 2] if known else 0.0
    return times * middle if middle > 0 else math.inf


def _left_out(study: Study) -> str:
    number = len(study.policies)
    return f" Shown are the best {MOST_LINES} of {number} policies." if number > MOST_LINES else ""


def _axis(name: str) -> str:
    figure = figure_of(name)
    units = {"s": " (s)", "part": " (share of all)", "count": " (number)", "number": ""}
    return f"{figure.heading}{units[figure.unit]}"


def _is_wide(values: Sequence[float]) -> bool:
    """Return whether values differ so much that a linear scale would hide the small ones."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return bool(positive) and max(positive) > 20 * min(positive)


def _half(interval: Interval) -> float:
    return interval.half if math.isfinite(interval.half) else 0.0


def _high(interval: Interval) -> float:
    return interval.mean + _half(interval)


def _low(interval: Interval) -> float:
    return max(interval.least, interval.mean - _half(interval))
