"""Report of a fit: `fit.html`, a self-contained page with a chart for each endpoint."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, to_svg
from balancer.reporting.document import (
    Bullets,
    Cell,
    Chart,
    Column,
    ColumnKind,
    Document,
    Figures,
    Row,
    Section,
    Table,
    Tone,
    table,
)
from balancer.reporting.words import count
from balancer_simulator.fitting.description import fit_lines, unknown
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.planning.goodness import FitCheck, GoodnessOfFit
from balancer_simulator.planning.predicted import FAR
from balancer_simulator.report.document import put_page, scenario_section

__all__ = ["quantile_chart", "write_fit_report"]

_PARTS: Final = np.linspace(0.01, 0.99, 50)


def quantile_chart(held: GoodnessOfFit) -> Chart:
    """Return the measured and the fitted quantiles of the durations of calls of an endpoint."""
    lines = [
        ChartLine(name, (_PARTS * 100).tolist(), np.quantile(times, _PARTS).tolist())
        for name, times in (("measured", held.measured), ("fitted", held.fitted))
    ]
    drawing = line_chart(
        lines, xlabel="share of the calls (%)", ylabel="took at most (s)", width=charts.HALF, height=125.0
    )
    caption = (
        f"{held.calls} calls. Measured: in the trace; calls that had not ended count as longer. Fitted: in a run of "
        f"the fitted scenario; its mean is {held.off:+.1%} off."
    )
    return Chart(held.endpoint, caption, to_svg(drawing), wide=False)


def write_fit_report(fit: Fit, held: FitCheck, folder: Path) -> Path:
    """Write `fit.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    lost = set(unknown(fit))
    found = [line for line in fit_lines(fit) if line.strip() not in lost and line != "not known:"]
    off = held.off()
    by_chance = [each for each in (*held.figures, *held.waits) if each.is_far and each.is_chance]
    sections = (
        Section("Measured and fitted", (_compared(held),), "compared", "Compared"),
        Section(
            "Call times, measured and fitted", (Figures(tuple(map(quantile_chart, held.calls))),), "calls", "Call times"
        ),
        Section("What was fitted", (Bullets(tuple(found)),), "fitted", "Fitted"),
        *([Section("Not known", (Bullets(tuple(unknown(fit))),), "unknown", "Not known")] if lost else []),
        replace(scenario_section(fit.scenario(), "The fitted scenario"), folded=True, label="Scenario"),
    )
    said = "The fit is right: runs of it are like the trace."
    if off:
        said = (
            f"The fit is off, in {count(len(off), 'figure')}: runs of it are unlike the trace, so do not plan with it."
        )
    elif by_chance:
        said = (
            f"The fit may be off, in {count(len(by_chance), 'figure')}: runs of it differ by as much among themselves."
        )
    tone = Tone.BAD if off else Tone.PLAIN if by_chance else Tone.GOOD
    title = "What was fitted"
    return put_page(Document(title, title, sections, verdict=said, tone=tone), folder / "fit.html")


def _compared(held: FitCheck) -> Table:
    """Return each figure in the trace and in runs of the fit; those that are off are marked, and come first."""
    off = held.off()
    rows: list[Row] = []
    for each in sorted((*held.figures, *held.waits), key=lambda each: each not in off):
        times = 100 if each.unit == "%" else 1
        values = (f"{times * value:.3g}{'%' if times > 1 else ' s'}" for value in (each.measured, each.fitted))
        by = f"{round(each.off, 2) or 0:+.0%}".replace("+0%", "0%") if math.isfinite(each.off) else "none in the trace"
        remark = "OFF" if each in off else "by chance, or not" if each.is_far else ""
        if not remark and abs(each.off) > FAR and math.isfinite(each.off):
            remark = "too little to matter"
        rows.append(
            (
                each.name.rstrip(":"),
                *values,
                Cell(by, tone=Tone.BAD if each in off else Tone.PLAIN),
                Cell(remark, tone=Tone.BAD if each in off else Tone.PLAIN),
            )
        )
    columns = (
        Column("", ColumnKind.NAME),
        *map(Column, ("in the trace", "in the fit", "off by")),
        Column("", ColumnKind.TEXT),
    )
    return table(columns, rows)
