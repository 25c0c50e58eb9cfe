"""Predictions and plans as plain data, charts and pages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, Final

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, narrow_svg, to_svg
from balancer.reporting.document import Chart, Document, Figures, Section
from balancer.reporting.words import count
from balancer_simulator.planning.plan import PoolPlan, Setting
from balancer_simulator.planning.predicted import Predicted
from balancer_simulator.planning.shown import Prediction, plan_verdict, value_words
from balancer_simulator.report.document import put_page
from balancer_simulator.studies.figures import figure_of

__all__ = ["interval_chart", "plan_chart", "plan_data", "prediction_charts", "prediction_data", "write_page"]

_CHARTS: Final = (
    ("Times of a request", ("sojourn_mean_s", "sojourn_p50_s", "sojourn_p99_s", "wait_mean_s", "wait_p99_s")),
    ("The whole run", ("makespan_s",)),
)


def prediction_data(found: Prediction) -> dict[str, Any]:
    """Return a prediction of a next run as plain data."""
    return {
        "changes": list(found.changes),
        "draws": found.draws,
        "recorded": found.recorded,
        "today": _plain(found.today or found.figures),
        "changed": _plain(found.figures) if found.today else None,
        "shares": {
            "recorded": found.recorded_shares, "today": _plain(found.today_shares or found.shares),
            "changed": _plain(found.shares) if found.today else None,
        },
        "off": list(found.off),
        "remarks": list(found.remarks),
    }  # fmt: skip


def _plain(figures: Mapping[str, Predicted]) -> dict[str, dict[str, float]]:
    return {name: asdict(each) for name, each in figures.items()}


def prediction_charts(found: Prediction) -> list[Chart]:
    """Return the charts of a prediction."""
    there = {**found.today, **found.figures}
    return [interval_chart(found, title, names) for title, names in _CHARTS if any(name in there for name in names)]


def interval_chart(found: Prediction, title: str, names: tuple[str, ...]) -> Chart:
    """Return the figures in seconds as dots over their intervals, with changes below those of today."""
    sets = [(found.today, charts.SKY), (found.figures, charts.GREEN)] if found.today else [(found.figures, charts.SKY)]
    heads, ends, came = list[str](), list[Predicted](), list[float]()
    colours = list[str]()
    for name, (figures, colour) in product(names, sets):
        if name in figures:
            first = figures is sets[0][0]
            heads.append(figure_of(name).heading if first else "")
            came.append(found.recorded.get(name, math.nan) if first else math.nan)
            ends.append(figures[name])
            colours.append(colour)
    drawing = charts.rows(heads, width=charts.HALF, xlabel="seconds", row=19.0)
    for row, (each, colour) in enumerate(zip(ends, colours, strict=True)):
        charts.boxes(drawing, [(each.low, each.high, row - 0.16, row + 0.16)], colour)
        charts.beside(drawing, row, value_words(names[0], each.value))
    charts.dots(drawing, [each.value for each in ends])
    charts.ticks(drawing, came)
    drawing.axes.set_xlim(charts.ends_of([*came, *(end for each in ends for end in (each.low, each.high))], log=False))
    shown = zip(("as it is", "changed"), sets, strict=False)
    drawing.legend = [*(charts.swatch(words, colour) for words, (_, colour) in shown), charts.tick_entry("recorded")]
    caption = "A dot is the most likely value, a bar the 95% interval of one next run."
    return Chart(title, caption, to_svg(drawing), wide=False)


def plan_chart(found: PoolPlan) -> Chart:
    """Return the knee, the p99 by load; with a deadline, the end by the number of endpoints."""
    figure = found.goal.figure
    if found.knee:
        lines = [_line(name, line) for name, line in found.knee.items() if line]
        title, xlabel = "The knee: p99 by load", "load, in times of today's"
    else:
        best: dict[float, Setting] = {}
        for each in sorted(found.tried, key=lambda each: each.sure, reverse=True):
            if figure in each.forecast.figures:
                best[float(len(each.slots))] = each
        lines = [_line("over after", {number: each.forecast.figures[figure] for number, each in best.items()})]
        title, xlabel = "The end by the number of endpoints", "endpoints"
    xs = sorted({x for line in lines for x in line.xs})
    if math.isfinite(found.goal.at_most):
        lines.append(ChartLine("wanted", xs, [found.goal.at_most] * len(xs)))
    drawing = line_chart(
        lines, xlabel=xlabel, ylabel=f"{figure_of(figure).heading} (s)", width=charts.WIDE,
        yscale="log" if found.knee else "linear",
    )  # fmt: skip
    gone = f" Without {count(found.goal.losing, 'endpoint')}, those that do most." if found.goal.losing else ""
    caption = f"The lines at the marks are 95% intervals of one run.{gone}"
    return Chart(title, caption, to_svg(drawing), narrow=narrow_svg(drawing))


def _line(name: str, found: Mapping[float, Predicted]) -> ChartLine:
    xs = sorted(found)
    ends = [found[x] for x in xs]
    return ChartLine(name, xs, [e.value for e in ends], [e.low for e in ends], [e.high for e in ends])


def plan_data(found: PoolPlan) -> dict[str, Any]:
    """Return the answer, all settings that were tried, and the knee, as plain data."""
    named = {"present": found.present, "chosen": found.chosen, "nearest": found.nearest}
    return {
        "verdict": plan_verdict(found),
        "goal": {name: value for name, value in asdict(found.goal).items() if value not in (None, math.inf)},
        **{name: each and _data(found, each) for name, each in named.items()},
        "tried": [_data(found, each) for each in found.tried],
        "knee": {name: {f"{load:g}": asdict(each) for load, each in line.items()} for name, line in found.knee.items()},
        "remarks": list(found.remarks),
    }


def _data(found: PoolPlan, setting: Setting) -> dict[str, Any]:
    return {
        "strategy": setting.strategy,
        "callers": setting.callers,
        "endpoints": setting.slots,
        "made_up": setting.made_up,
        "cost": setting.cost,
        "figures": _plain(setting.forecast.figures),
        "shares": _plain(setting.forecast.share_of),
        "sure_s": setting.sure,
        "does": found.does(setting),
    }


def write_page(title: str, sections: Sequence[Section], drawn: Sequence[Chart], path: Path) -> Path:
    """Write a page with the tables that a command prints, and charts above, and return its path. Raises OSError."""
    return put_page(Document(title, title, tuple(sections), blocks=(Figures(tuple(drawn)),)), path)
