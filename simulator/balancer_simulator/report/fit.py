"""Report of a fit: its figures beside those of the trace, and a page with a chart for each endpoint."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, to_svg
from balancer.reporting.document import (
    Cell,
    Chart,
    Column,
    ColumnKind,
    Document,
    Figures,
    Paragraph,
    Section,
    Table,
    Tone,
    table,
)
from balancer_simulator.fitting.description import fit_lines
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.planning.goodness import FitCheck, GoodnessOfFit
from balancer_simulator.report.document import put_page, scenario_section

__all__ = ["fit_table", "quantile_chart", "write_fit_report"]

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
    caption = f"{held.calls} calls in the trace, and in runs of the fit; its mean is {held.off:+.1%} off."
    return Chart(held.endpoint, caption, to_svg(drawing), wide=False)


def fit_table(held: FitCheck) -> Table:
    """Return each figure in the trace and in runs of the fit; those that are off are marked, and come first."""
    off = held.off()
    columns = [Column("", ColumnKind.NAME), *map(Column, ("in the trace", "in the fit", "off by"))]
    rows = [
        (each.name.rstrip(":"), *each.values, Cell(each.apart, tone=Tone.BAD if each in off else Tone.PLAIN))
        for each in sorted((*held.figures, *held.waits), key=lambda each: each not in off)
    ]
    return table(columns, rows)


def write_fit_report(fit: Fit, held: FitCheck, folder: Path) -> Path:
    """Write `fit.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    said = next(held.lines(), "runs of the fit are like the trace")
    sections = (
        Section("Measured and fitted", (fit_table(held),), "compared", "Compared"),
        Section("Call times", (Figures(tuple(map(quantile_chart, held.calls))),), "calls", "Call times"),
        Section("What was fitted", tuple(map(Paragraph, fit_lines(fit))), "fitted", "Fitted"),
        replace(scenario_section(fit.scenario(), "The fitted scenario"), folded=True, label="Scenario"),
    )
    tone = Tone.BAD if held.off() else Tone.GOOD
    return put_page(Document("Fit", "What was fitted", sections, verdict=said, tone=tone), folder / "fit.html")
