"""Plots of a study and of a sweep, by matplotlib: `study.plot.cdf("wait_s")`. Reports have the same.

What the runs are too short for is drawn as such: paler, or with a hollow marker. A policy that cannot keep up is named
and not drawn: its times depend on the horizon, and beside them the others could not be told apart.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from balancer.errors import ConfigError
from balancer.reporting import charts
from balancer.reporting.charts import MOST_LINES, ChartLine, Drawing, Kind, line_chart
from balancer.reporting.words import shorten
from balancer_simulator.run.times import Times
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.figures import TOO_SHORT, checked_figure, figure_of, worded
from balancer_simulator.studies.intervals import QUANTILES, Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from balancer_simulator.studies.findings import StudyFindings

__all__ = ["MOST_ROWS", "Measure", "StudyPlots", "SweepPlots"]

Parts = Mapping[Any, "StudyFindings"]
"""Studies by key: a load, or that of a sweep. Of a tuple the first is the x, the others name the line."""

MOST_ROWS: Final = 50  # more would not fit on a printed page
_LONG_LABEL: Final = 44  # letters; the options at the end of a label matter
_LABEL: Final = 28  # letters: a fifth of a whole page's width
_TAIL: Final = 0.001  # the rarest are not drawn
_NOTHING: Final = Interval(math.nan, math.nan, 0)
_CANNOT: Final = "cannot keep up"
_LOAD: Final = "offered load (part of what all slots could do)"
_XS: Final[Mapping[str, Callable[[Scenario], float]]] = {
    "endpoints": lambda scenario: len(scenario.by_url),
    "slots": lambda scenario: sum(model.capacity for model in scenario.by_url.values()),
}
Measure = Literal["wait_s", "sojourn_s"]
Shown = TypeVar("Shown")


class SweepPlots(Generic[Shown]):
    """Plots of figures by load, or by what a sweep changes. Each is drawn on `ax`, or on axes of its own.

    Args:
        parts: the studies.
        name: of what differs between them.
        shown: gives a drawing its form: `with_legend` or `to_svg`.
    """

    def __init__(self, parts: Parts, name: str, shown: Callable[[Drawing], Shown]) -> None:
        self._parts = parts
        self._name = name
        self._shown = shown

    def _on(self, ax: "Axes | None") -> "Axes | None":
        if ax is None and self._shown is charts.with_legend:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(figsize=(8.0, 4.5), layout="constrained")
        return ax

    def curve(self, figure: str, *, x: str | None = None, ax: "Axes | None" = None) -> Shown:
        """Draw how a figure changes, with 95% intervals: a line for each policy.

        Args:
            x: "endpoints" or "slots": how many there are; any other: a name for the keys, which must be numbers.

        Raises:
            ConfigError: there is no such figure, or nothing differs: the scenario has no loads.
        """
        x = x or self._name
        found = _table(self._parts, figure, x)
        scale: Kind = "log" if _is_wide([i.mean for line in found.values() for i in line.values()]) else "linear"
        drawing = line_chart(
            [_line_of(label, line) for label, line in found.items()],
            xlabel=x,
            ylabel=_axis(figure),
            width=charts.WIDE,
            yscale=scale,
            axes=self._on(ax),
        )
        axes, entries = drawing.axes, []
        if x == _LOAD:
            axes.set_xlim(min(map(min, found.values())) - 0.03, 1.03)  # 1: where all slots are in use
        elif all(at.is_integer() for line in found.values() for at in line):
            axes.locator_params(axis="x", integer=True)
        for label, signs in drawing.legend:
            words = label
            if refused := {at: i.mean for at, i in found[label].items() if i.is_refused}:
                axes.plot(
                    list(refused), list(refused.values()), linestyle="none", marker="o", fillstyle="none",
                    color=signs[0].get_color(), markersize=9.0,
                )  # fmt: skip
                words += f" (hollow: {TOO_SHORT})"
            if behind := [at for at, i in found[label].items() if math.isnan(i.mean)]:
                words += f" ({_CANNOT} from {min(behind):g} on)"
            entries.append((words, signs))
        drawing.legend = entries
        return self._shown(drawing)

    def heat(self, figure: str, *, x: str | None = None, ax: "Axes | None" = None) -> Shown:
        """Draw a figure as a map: what differs across, policies down. Arguments and errors as for `curve`."""
        x = x or self._name
        found = _table(self._parts, figure, x)
        columns = sorted({at for line in found.values() for at in line})
        drawing = _rows(found, _LABEL, x, self._on(ax))
        axes = drawing.axes
        axes.grid(visible=False)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_xticks(range(len(columns)), [f"{at:g}" for at in columns])
        known = [i.mean for line in found.values() for i in line.values() if not i.is_refused and math.isfinite(i.mean)]
        low, high = min(known, default=0.0), max(known, default=1.0)
        for row, line in enumerate(found.values()):
            for at, interval in line.items():
                column = columns.index(at)
                part = (interval.mean - low) / (high - low) if high > low else 0.0
                words, shade = "", (charts.FAINT, 0.18)
                if math.isnan(interval.mean):
                    words = _CANNOT
                elif interval.is_refused:
                    words = TOO_SHORT
                else:
                    words = worded(Interval(interval.mean, math.nan, 1), figure_of(figure).unit)
                    shade = charts.HEAT, 0.08 + 0.42 * part
                charts.boxes(drawing, [(column - 0.48, column + 0.48, row - 0.45, row + 0.45)], *shade)
                size = axes.yaxis.label.get_size()
                axes.text(column, row, words, ha="center", va="center", color=charts.INK, fontsize=size)
        return self._shown(drawing)


class StudyPlots(SweepPlots[Shown]):
    """Plots of a study; by load if it has loads."""

    def __init__(self, study: "StudyFindings", shown: Callable[[Drawing], Shown]) -> None:
        super().__init__({load: study.at_load(load) for load in study.curves}, _LOAD, shown)
        self._study = study

    def cdf(self, what: Measure = "sojourn_s", *, tail: bool = False, ax: "Axes | None" = None) -> Shown:
        """Draw the share of requests that took at most a time; with `tail`, that took longer, on a log scale.

        The part of a line beyond a quantile that is not known is pale.
        """
        from matplotlib.ticker import LogLocator

        study, which = self._study, what.removesuffix("_s")
        tallies = {
            policy: Times.merged(getattr(record, which) for record in study.records[policy]) for policy in study.drawn()
        }
        ends_s = [tally.quantile(1 - _TAIL) for tally in tallies.values() if tally.count]
        scale: Kind = "log" if tail and _is_wide(ends_s) else "linear"
        end_s = math.inf if scale == "log" else max(ends_s, default=0.0)  # none: no request was answered
        lines, pale, entries = [], [], []
        for policy, tally in tallies.items():
            xs, larger = tally.tail()
            kept = (larger >= _TAIL) & (xs <= end_s) & (xs >= tally.most / 1e5)
            ys = larger if tail else 1 - larger
            refused = study.too_short(policy)
            known_to = next((1 - q for name, (of, q) in QUANTILES.items() if of == which and name in refused), 0.0)
            known = kept & (larger >= known_to)
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
            axes=self._on(ax),
        )
        axes = drawing.axes
        axes.set_xlim(right=max([*ends_s, 1e-9]))
        axes.set_ylim((_TAIL, 1.1) if tail else (0.0, 1.03))
        if tail:
            axes.yaxis.set_major_locator(LogLocator())
        for (words, signs), (xs, ys) in zip(drawing.legend, pale, strict=False):
            if len(xs):
                axes.plot(xs, ys, color=signs[0].get_color(), linewidth=1.4, linestyle=":", alpha=0.6)
                words += f" (dotted: {TOO_SHORT})"
            entries.append((words, signs))
        drawing.legend = [*entries, *_left_out(study)]
        return self._shown(drawing)

    def queue(self, *, ax: "Axes | None" = None) -> Shown:
        """Draw how many requests wait over time, in the first replication; the warm-up is shaded."""
        study = self._study
        seen = {policy: study.records[policy][0].timeline for policy in study.drawn()[:MOST_LINES]}
        lines = [ChartLine(policy, each.at_s.tolist(), each.waiting.tolist()) for policy, each in seen.items()]
        width, on = charts.WIDE, self._on(ax)
        drawing = line_chart(lines, xlabel="time (s)", ylabel="requests that wait", width=width, axes=on)
        if from_s := study.scenario.warmup_s:
            drawing.axes.axvspan(0.0, from_s, color=charts.FAINT, alpha=0.15, linewidth=0)
        drawing.legend = [*drawing.legend, *_left_out(study)]
        return self._shown(drawing)

    def utilisation(self, policy: str | None = None, *, ax: "Axes | None" = None) -> Shown:
        """Draw how busy each endpoint was over time, in the first replication; default: of the best policy."""
        seen = self._study.records[policy or self._study.ranking()[0]][0].timeline
        drawing = charts.heat_map(
            [shorten(url, _LABEL) for url in seen.urls[:MOST_ROWS]],
            seen.utilisation[:MOST_ROWS].tolist(),
            ends=(0.0, float(seen.at_s[-1])),
            xlabel="time since the start (s)",
            label="share of its slots in use",
            nothing="no slot in use (idle, down or not in the pool)",
            axes=self._on(ax),
        )
        return self._shown(drawing)

    def ranking(self, figure: str | None = None, *, ax: "Axes | None" = None) -> Shown:
        """Draw a figure of each policy with its 95% interval, the best first; default: the one that ranks.

        The scale fits most: a policy far behind is named at its end.
        """
        study, name = self._study, figure or self._study.default_metric
        there = {policy: study.metrics(policy) for policy in study.ranking(name)}
        found = {policy: metrics[name] for policy, metrics in there.items() if name in metrics}
        drawing = _rows(found, _LONG_LABEL, _axis(name), self._on(ax))
        drawn = study.drawn()
        known = {n: i for n, (p, i) in enumerate(found.items()) if p in drawn and not i.is_refused}
        middle = median_low([i.mean for i in known.values()] or [0.0])
        inside = {n: i for n, i in known.items() if i.mean <= (5 * middle or math.inf)}
        end = max((1.25 * i.mean for i in inside.values()), default=1.0) or 1.0
        end = max([end, *(1.05 * i.high for i in inside.values() if i.high <= 2 * end)])
        drawing.axes.set_xlim(0, end)
        charts.boxes(drawing, [(i.low, min(i.high, end), n - 0.12, n + 0.12) for n, i in inside.items()], charts.SKY)
        charts.dots(drawing, [inside.get(n, _NOTHING).mean for n in range(len(found))])
        for row, (policy, interval) in enumerate(found.items()):
            charts.beside(drawing, row, worded(interval, figure_of(name).unit))
            if row not in inside and not interval.is_refused:
                charts.inside(drawing, row, _CANNOT if policy not in drawn else "off the scale \N{RIGHTWARDS ARROW}")
        return self._shown(drawing)

    def shares(self, policy: str | None = None, *, ax: "Axes | None" = None) -> Shown:
        """Draw the share of all calls at each endpoint, beside its weight; default: of the best policy."""
        policy = policy or self._study.ranking()[0]
        endpoints = self._study.records[policy][0].by_endpoint
        whole, shown = sum(endpoint.weight for endpoint in endpoints), endpoints[:MOST_ROWS]
        drawing = charts.share_bars(
            [shorten(endpoint.url, 18) for endpoint in shown],
            [self._study.share(policy, endpoint.url) for endpoint in shown],
            [endpoint.weight / whole for endpoint in shown],
            xlabel="share of all calls",
            axes=self._on(ax),
        )
        return self._shown(drawing)


# -- what is drawn -------------------------------------------------------------------------------------


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
    for key, study in sorted(parts.items(), key=lambda part: _at(part[0], part[1], x)):
        rest = [str(each) for each in key[1:]] if isinstance(key, tuple) else []
        for policy in study.policies:
            label = ", ".join([*([policy] if several or not rest else []), *rest])
            metrics = study.metrics(policy) if study.keeps_up(policy) else {}
            found.setdefault(label, {})[_at(key, study, x)] = metrics.get(name, _NOTHING)
    return dict(list(found.items())[:MOST_LINES])


def _at(key: Any, study: "StudyFindings", x: str) -> float:
    at = _XS[x](study.scenario) if x in _XS else key[0] if isinstance(key, tuple) else key
    if not isinstance(at, int | float):
        raise ConfigError(f"plot: the key {key!r} is no number; give x= one of {', '.join(_XS)}, or keys that are")
    return float(at)


def _line_of(label: str, line: Mapping[float, Interval]) -> ChartLine:
    found = [_NOTHING if interval.is_refused else interval for interval in line.values()]
    return ChartLine(label, list(line), *([getattr(i, end) for i in found] for end in ("mean", "low", "high")))


def _rows(labels: Iterable[str], letters: int, xlabel: str, axes: "Axes | None") -> Drawing:
    shown = [shorten(label, letters) for label in labels]
    return charts.rows(shown, width=charts.WIDE, xlabel=xlabel, row=20.0, axes=axes)


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
