"""Plots of a study and of a sweep, by matplotlib: `study.plot.cdf("wait_s")`. Reports have the same.

Each returns `Axes`, those given as `ax` or new ones. What the runs are too short for is drawn as such: paler, or with a
hollow marker. A policy that cannot keep up is named and not drawn: its times depend on the horizon, and beside them the
others could not be told apart.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from balancer.errors import ConfigError
from balancer.reporting import charts
from balancer.reporting.charts import MOST_LINES, ChartLine, Drawing, Kind, line_chart
from balancer.reporting.words import shorten
from balancer_simulator.run.times import Times
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.figures import TOO_SHORT, checked_figure, figure_of, worded
from balancer_simulator.studies.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from balancer_simulator.studies.findings import StudyFindings

__all__ = [
    "LOAD",
    "MOST_ROWS",
    "Measure",
    "StudyPlots",
    "SweepPlots",
    "cdf",
    "curve",
    "ranking",
    "shares",
    "utilisation",
]

Parts = Mapping[Any, "StudyFindings"]
"""Studies by key: a load, or that of a sweep. Of a tuple the first is the x, the others name the line."""

MOST_ROWS: Final = 50  # more would not fit on a printed page
_LONG_LABEL: Final = 44  # letters; the options at the end of a label matter
_LABEL: Final = 28  # letters: a fifth of a whole page's width
_TAIL: Final = 0.001  # the rarest are not drawn
_NOTHING: Final = Interval(math.nan, math.nan, 0)
_CANNOT: Final = "cannot keep up"
LOAD: Final = "offered load (part of what all slots could do)"
_XS: Final[Mapping[str, Callable[[Scenario], float]]] = {
    "endpoints": lambda scenario: len(scenario.by_url),
    "slots": lambda scenario: sum(model.capacity for model in scenario.by_url.values()),
}
Measure = Literal["wait_s", "sojourn_s"]


class SweepPlots:
    """Plots of figures by load, or by what a sweep changes.

    Args:
        parts: the studies.
        name: of what differs between them.
    """

    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self._name = name

    def curve(self, figure: str, *, x: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw how a figure changes, with 95% intervals: a line for each policy.

        Args:
            x: "endpoints" or "slots": how many there are; any other: a name for the keys, which must be numbers.

        Raises:
            ConfigError: there is no such figure, or nothing differs: the scenario has no loads.
        """
        return _shown(lambda axes: curve(self._parts, figure, x or self._name, axes=axes), ax)

    def heat(self, figure: str, *, x: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw a figure as a map: what differs across, policies down. Arguments and errors as for `curve`."""
        return _shown(lambda axes: heat(self._parts, figure, x or self._name, axes=axes), ax)


class StudyPlots(SweepPlots):
    """Plots of a study; by load if it has loads."""

    def __init__(self, study: "StudyFindings") -> None:
        super().__init__({load: study.at_load(load) for load in study.curves}, LOAD)
        self._study = study

    def cdf(self, what: Measure = "sojourn_s", *, tail: bool = False, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of requests that took at most a time; with `tail`, that took longer, on a log scale."""
        return _shown(lambda axes: cdf(self._study, what, tail=tail, axes=axes), ax)

    def queue(self, *, ax: "Axes | None" = None) -> "Axes":
        """Draw how many requests wait over time, in the first replication; the warm-up is shaded."""
        return _shown(lambda axes: queue(self._study, axes=axes), ax)

    def utilisation(self, policy: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """Draw how busy each endpoint was over time, in the first replication; default: of the best policy."""
        return _shown(lambda axes: utilisation(self._study, policy or self._study.ranking()[0], axes=axes), ax)

    def ranking(self, figure: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """Draw a figure of each policy with its 95% interval, the best first; default: the one that ranks."""
        return _shown(lambda axes: ranking(self._study, figure or self._study.default_metric, axes=axes), ax)

    def shares(self, policy: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of all calls at each endpoint, beside its weight; default: of the best policy."""
        return _shown(lambda axes: shares(self._study, policy or self._study.ranking()[0], axes=axes), ax)


def _shown(draw: "Callable[[Axes], Drawing]", ax: "Axes | None") -> "Axes":
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(8.0, 4.5), layout="constrained")
    return charts.with_legend(draw(ax))


# -- over requests and time ----------------------------------------------------------------------------


def cdf(study: "StudyFindings", what: Measure, *, tail: bool, axes: "Axes | None" = None) -> Drawing:
    """See `StudyPlots.cdf`. The part of a line beyond a quantile that is not known is pale."""
    from matplotlib.ticker import LogLocator

    which = what.removesuffix("_s")
    tallies = {policy: _merged(study, policy, which) for policy in study.drawn()}
    ends_s = [tally.quantile(1 - _TAIL) for tally in tallies.values() if tally.count]
    scale: Kind = "log" if tail and _is_wide(ends_s) else "linear"
    end_s = math.inf if scale == "log" else max(ends_s, default=0.0)  # none: no request was answered
    lines, pale = [], []
    for policy, tally in tallies.items():
        xs, larger = tally.tail()
        kept = (larger >= _TAIL) & (xs <= end_s) & (xs >= tally.most / 1e5)
        ys = larger if tail else 1 - larger
        known = kept & (larger >= _known_to(study, policy, which))
        lines.append(ChartLine(policy, xs[known].tolist(), ys[known].tolist()))
        pale.append((xs[kept & ~known], ys[kept & ~known]))
    verb = "waited" if which == "wait" else "took"
    drawing = line_chart(
        lines[:MOST_LINES],
        xlabel="time (s)",
        ylabel=f"share that {verb} longer" if tail else f"share that {verb} at most this",
        width=charts.WIDE,
        xscale=scale,
        yscale="log" if tail else "linear",
        axes=axes,
    )
    drawing.axes.set_xlim(right=max([*ends_s, 1e-9]))
    drawing.axes.set_ylim((_TAIL, 1.1) if tail else (0.0, 1.03))
    if tail:
        drawing.axes.yaxis.set_major_locator(LogLocator())
    entries = list(drawing.legend)
    for number, ((name, signs), (xs, ys)) in enumerate(zip(entries, pale, strict=False)):
        if len(xs):
            drawing.axes.plot(xs, ys, color=signs[0].get_color(), linewidth=1.4, linestyle=":", alpha=0.6)
            entries[number] = (f"{name} (dotted: {TOO_SHORT})", signs)
    drawing.legend = [*entries, *_left_out(study)]
    return drawing


def _known_to(study: "StudyFindings", policy: str, which: str) -> float:
    """Return the share beyond the first quantile that is refused; 0 if none is."""
    for q in (50, 90, 99):
        name = f"{which}_p{q}_s"
        if name in study.metrics(policy) and study.metric(policy, name).is_refused:
            return 1 - q / 100
    return 0.0


def _merged(study: "StudyFindings", policy: str, which: str) -> Times:
    return Times.merged(getattr(record, which) for record in study.records[policy])


def queue(study: "StudyFindings", *, axes: "Axes | None" = None) -> Drawing:
    """See `StudyPlots.queue`."""
    seen = {policy: study.records[policy][0].timeline for policy in study.drawn()[:MOST_LINES]}
    lines = [ChartLine(policy, each.at_s.tolist(), each.waiting.tolist()) for policy, each in seen.items()]
    drawing = line_chart(lines, xlabel="time (s)", ylabel="requests that wait", width=charts.WIDE, axes=axes)
    if from_s := study.scenario.warmup_s:
        drawing.axes.axvspan(0.0, from_s, color=charts.FAINT, alpha=0.15, linewidth=0)
    drawing.legend = [*drawing.legend, *_left_out(study)]
    return drawing


def utilisation(study: "StudyFindings", policy: str, *, axes: "Axes | None" = None) -> Drawing:
    """See `StudyPlots.utilisation`; at most `MOST_ROWS` endpoints."""
    seen = study.records[policy][0].timeline
    return charts.heat_map(
        [shorten(url, _LABEL) for url in seen.urls[:MOST_ROWS]],
        seen.utilisation[:MOST_ROWS].tolist(),
        ends=(0.0, float(seen.at_s[-1])),
        xlabel="time since the start (s)",
        label="share of its slots in use",
        nothing="no slot in use (idle, down or not in the pool)",
        axes=axes,
    )


# -- by policy -----------------------------------------------------------------------------------------


def ranking(study: "StudyFindings", name: str, *, axes: "Axes | None" = None) -> Drawing:
    """See `StudyPlots.ranking`. A scale that fits most: a policy far behind is named at its end."""
    policies = [policy for policy in study.ranking(name) if name in study.metrics(policy)]
    found = [study.metric(policy, name) for policy in policies]
    drawing = charts.rows(
        [shorten(policy, _LONG_LABEL) for policy in policies],
        width=charts.WIDE,
        xlabel=_axis(name),
        row=20.0,
        axes=axes,
    )
    drawn = study.drawn()
    known = {n: i for n, i in enumerate(found) if policies[n] in drawn and not i.is_refused}
    means = sorted(i.mean for i in known.values())
    middle = means[(len(means) - 1) // 2] if means else 0.0
    inside = {n: i for n, i in known.items() if i.mean <= (5 * middle or math.inf)}
    end = max((1.25 * i.mean for i in inside.values()), default=1.0) or 1.0
    end = max([end, *(1.05 * _high(i) for i in inside.values() if _high(i) <= 2 * end)])
    drawing.axes.set_xlim(0, end)
    charts.boxes(drawing, [(_low(i), min(_high(i), end), n - 0.12, n + 0.12) for n, i in inside.items()], charts.SKY)
    charts.dots(drawing, [inside[n].mean if n in inside else math.nan for n in range(len(found))])
    for row, (policy, interval) in enumerate(zip(policies, found, strict=True)):
        charts.beside(drawing, row, worded(interval, figure_of(name).unit))
        if row not in inside and not interval.is_refused:
            charts.inside(drawing, row, _CANNOT if policy not in drawn else "off the scale \N{RIGHTWARDS ARROW}")
    return drawing


def shares(study: "StudyFindings", policy: str, *, axes: "Axes | None" = None) -> Drawing:
    """See `StudyPlots.shares`; at most `MOST_ROWS` endpoints."""
    records = study.records[policy]
    endpoints = records[0].by_endpoint
    whole = sum(endpoint.weight for endpoint in endpoints)
    return charts.share_bars(
        [shorten(endpoint.url, 18) for endpoint in endpoints[:MOST_ROWS]],
        [study.share(policy, endpoint.url) for endpoint in endpoints[:MOST_ROWS]],
        [endpoint.weight / whole for endpoint in endpoints[:MOST_ROWS]],
        xlabel="share of all calls",
        axes=axes,
    )


# -- by what differs -----------------------------------------------------------------------------------


def curve(parts: Parts, name: str, x: str, *, axes: "Axes | None" = None) -> Drawing:
    """See `SweepPlots.curve`."""
    found = _table(parts, name, x)
    unknown = {label: {at: i for at, i in line.items() if i.is_refused} for label, line in found.items()}
    scale: Kind = "log" if _is_wide([i.mean for line in found.values() for i in line.values()]) else "linear"
    drawing = line_chart(
        [_line_of(label, line) for label, line in found.items()],
        xlabel=x,
        ylabel=_axis(name),
        width=charts.WIDE,
        yscale=scale,
        axes=axes,
    )
    if x == LOAD:
        drawing.axes.set_xlim(min(min(line) for line in found.values()) - 0.03, 1.03)  # 1: where all slots are in use
    elif all(float(at).is_integer() for line in found.values() for at in line):
        drawing.axes.locator_params(axis="x", integer=True)
    entries = list(drawing.legend)
    for number, (label, signs) in enumerate(entries):
        if refused := unknown[label]:
            drawing.axes.plot(
                list(refused), [i.mean for i in refused.values()], linestyle="none", marker="o", fillstyle="none",
                color=signs[0].get_color(), markersize=9.0,
            )  # fmt: skip
            entries[number] = (f"{label} (hollow: {TOO_SHORT})", signs)
        if behind := [at for at, interval in found[label].items() if math.isnan(interval.mean)]:
            entries[number] = (f"{entries[number][0]} ({_CANNOT} from {min(behind):g} on)", signs)
    drawing.legend = entries
    return drawing


def _line_of(label: str, line: Mapping[float, Interval]) -> ChartLine:
    found = [_NOTHING if interval.is_refused else interval for interval in line.values()]
    means = [interval.mean for interval in found]
    return ChartLine(label, list(line), means, [_low(interval) for interval in found], [_high(i) for i in found])


def heat(parts: Parts, name: str, x: str, *, axes: "Axes | None" = None) -> Drawing:
    """See `SweepPlots.heat`."""
    found = _table(parts, name, x)
    columns = sorted({at for line in found.values() for at in line})
    drawing = charts.rows([shorten(label, _LABEL) for label in found], width=charts.WIDE, xlabel=x, row=20.0, axes=axes)
    drawing.axes.grid(visible=False)
    drawing.axes.set_xlim(-0.5, len(columns) - 0.5)
    drawing.axes.set_xticks(range(len(columns)), [f"{at:g}" for at in columns])
    known = [i.mean for line in found.values() for i in line.values() if not i.is_refused and math.isfinite(i.mean)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    for row, line in enumerate(found.values()):
        for at, interval in line.items():
            column = columns.index(at)
            box = (column - 0.48, column + 0.48, row - 0.45, row + 0.45)
            if interval.is_refused or math.isnan(interval.mean):
                charts.boxes(drawing, [box], charts.FAINT, 0.18)
            else:
                part = (interval.mean - low) / (high - low) if high > low else 0.0
                charts.boxes(drawing, [box], charts.HEAT, 0.08 + 0.42 * part)
            words = _CANNOT if math.isnan(interval.mean) else worded(_bare(interval), figure_of(name).unit)
            drawing.axes.text(
                column,
                row,
                words,
                ha="center",
                va="center",
                color=charts.INK,
                fontsize=drawing.axes.yaxis.label.get_size(),
            )
    return drawing


def _bare(interval: Interval) -> Interval:
    return interval if interval.is_refused else Interval(interval.mean, math.nan, 1)


def _table(parts: Parts, name: str, x: str) -> dict[str, dict[float, Interval]]:
    """Return the figure of each line at each x, in ascending order; NaN where a policy cannot keep up.

    Raises:
        ConfigError: there is no such figure, nothing differs, or the keys are no numbers.
    """
    checked_figure(name)
    if not parts:
        raise ConfigError("plot: nothing differs here; give the scenario `loads`, or use run_sweep")
    several = len({policy for study in parts.values() for policy in study.policies}) > 1
    found: dict[str, dict[float, Interval]] = {}
    for at, rest, study in sorted(_placed(parts, x), key=lambda placed: placed[0]):
        for policy in study.policies:
            label = ", ".join([*([policy] if several or not rest else []), *rest])
            found.setdefault(label, {})[at] = (
                study.metrics(policy).get(name, _NOTHING) if study.keeps_up(policy) else _NOTHING
            )
    return dict(list(found.items())[:MOST_LINES])


def _placed(parts: Parts, x: str) -> Iterator[tuple[float, list[str], "StudyFindings"]]:
    for key, study in parts.items():
        first, *rest = key if isinstance(key, tuple) else (key,)
        at: Hashable = _XS[x](study.scenario) if x in _XS else first
        if not isinstance(at, int | float):
            raise ConfigError(f"plot: the key {key!r} is no number; give x= one of {', '.join(_XS)}, or keys that are")
        yield float(at), [str(each) for each in rest], study


# -- words and scales ----------------------------------------------------------------------------------


def _left_out(study: "StudyFindings") -> Iterator[tuple[str, Any]]:
    from matplotlib.lines import Line2D

    if names := [policy for policy in study.policies if policy not in study.drawn()]:
        yield f"{_CANNOT}, so not drawn: {', '.join(names)}", (Line2D([], [], linestyle="none"),)


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
