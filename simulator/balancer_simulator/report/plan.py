"""Predictions and plans as plain data, charts and pages."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, narrow_svg, to_svg
from balancer.reporting.document import Block, Bullets, Chart, Document, Figures, Section, Tone
from balancer.reporting.words import count
from balancer_simulator.planning.plan import PoolPlan, Setting
from balancer_simulator.planning.predicted import Predicted
from balancer_simulator.planning.shown import (
    Prediction,
    named_settings,
    plan_sections,
    plan_verdict,
    prediction_sections,
    settings_table,
    value_words,
)
from balancer_simulator.report.document import put_page
from balancer_simulator.studies.figures import figure_of

__all__ = ["interval_chart", "plan_chart", "plan_data", "prediction_data", "write_plan", "write_prediction"]

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


def interval_chart(found: Prediction, title: str, names: tuple[str, ...]) -> Chart:
    """Return the figures in seconds as dots over their intervals, with changes below those of today."""
    drawn: list[tuple[str, Predicted, str, float | None]] = []
    for name in (name for name in names if name in found.figures):
        heading = figure_of(name).heading
        now = found.today.get(name, found.figures[name])
        drawn.append((heading, now, charts.SKY, found.recorded.get(name)))
        if name in found.today:
            drawn.append(("", found.figures[name], charts.GREEN, None))
    drawing = charts.rows([row[0] for row in drawn], width=charts.HALF, xlabel="seconds", row=19.0)
    for colour in (charts.SKY, charts.GREEN):
        corners = [
            (each.low, each.high, place - 0.16, place + 0.16)
            for place, (_, each, mine, _) in enumerate(drawn)
            if mine == colour
        ]
        charts.boxes(drawing, corners, colour)
    charts.dots(drawing, [each.value for _, each, _, _ in drawn])
    charts.ticks(drawing, [float("nan") if came is None else came for _, _, _, came in drawn])
    found_s = [end for _, each, _, came in drawn for end in (each.low, each.high, came) if end is not None]
    least, most = min(found_s), max(found_s)
    least = least if least > most / 2 else 0.0  # near each other: the scale does not begin at 0
    room = (most - least) / 20 or most / 20 or 1.0
    drawing.axes.set_xlim(least - room, most + room)
    for place, (_, each, _, _) in enumerate(drawn):
        charts.beside(drawing, place, value_words(names[0], each.value))
    entries = [charts.swatch("as it is", charts.SKY)]
    entries += [charts.swatch("changed", charts.GREEN)] if found.today else []
    drawing.legend = [*entries, *([charts.tick_entry("recorded")] if found.recorded else [])]
    caption = "A dot is the most likely value, a bar the 95% interval of one next run."
    return Chart(title, caption, to_svg(drawing), wide=False)


def write_prediction(found: Prediction, unknown: tuple[str, ...], folder: Path) -> Path:
    """Write `prediction.html` into `folder` and return its path. `unknown`: what the trace does not tell.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    drawn = [interval_chart(found, title, names) for title, names in _CHARTS if any(n in found.figures for n in names)]
    blocks: tuple[Block, ...] = (Figures(tuple(drawn)), *([Bullets(unknown, title="Not known")] if unknown else []))
    sections = tuple(prediction_sections(found))
    return put_page(Document("Prediction", "Prediction", sections, blocks=blocks), folder / "prediction.html")


def plan_chart(found: PoolPlan) -> Chart:
    """Return the knee, the p99 by load; with a deadline, the end by the number of endpoints."""
    figure = found.goal.figure
    if found.knee:
        lines = [_line(name, line) for name, line in found.knee.items() if line]
        title, xlabel, scale = "The knee: p99 by load", "load, in times of today's", "log"
    else:
        best: dict[float, Setting] = {}
        for each in found.tried:
            number = float(len(each.slots))
            if figure in each.forecast.figures and each.sure < (best[number].sure if number in best else math.inf):
                best[number] = each
        lines = [_line("over after", {number: each.forecast.figures[figure] for number, each in best.items()})]
        title, xlabel, scale = "The end by the number of endpoints", "endpoints", "linear"
    xs = sorted({x for line in lines for x in line.xs})
    if math.isfinite(found.goal.at_most):
        lines.append(ChartLine("wanted", xs, [found.goal.at_most] * len(xs)))
    drawing = line_chart(
        lines, xlabel=xlabel, ylabel=f"{figure_of(figure).heading} (s)", width=charts.WIDE,
        yscale="log" if scale == "log" else "linear",
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
    return {
        "verdict": plan_verdict(found),
        "goal": {name: value for name, value in asdict(found.goal).items() if value not in (None, math.inf)},
        "present": _data(found, found.present),
        "chosen": None if found.chosen is None else _data(found, found.chosen),
        "nearest": None if found.nearest is None else _data(found, found.nearest),
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


def write_plan(found: PoolPlan, folder: Path) -> Path:
    """Write `plan.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    names = {id(each): name for name, each in named_settings(found)}
    tried = [(names.get(id(each), ""), each) for each in sorted(found.tried, key=lambda each: (each.cost, each.sure))]
    every = Section(f"All {len(tried)} that were tried", (settings_table(found, tried),), "tried", "Tried", folded=True)
    first, *others = plan_sections(found)
    said = plan_verdict(found)
    beside = replace(first, title="The settings beside it", blocks=first.blocks[1:])
    document = Document(
        "Plan", "Plan", (beside, *others, every),
        blocks=(Figures((plan_chart(found),)),),
        verdict=f"{said[0].upper()}{said[1:]}.",
        tone=Tone.BAD if found.chosen is None else Tone.GOOD,
    )  # fmt: skip
    return put_page(document, folder / "plan.html")
