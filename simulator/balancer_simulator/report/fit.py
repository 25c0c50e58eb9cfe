"""Report of a fit: `fit.html`, a self-contained page with a chart for each endpoint."""

from pathlib import Path
from typing import Final

import numpy as np

from balancer.reporting import style
from balancer.reporting.document import Bullets, Chart, Document, Figures, Section
from balancer.reporting.drawing import to_svg
from balancer.reporting.lines import ChartLine, line_chart
from balancer_simulator.fitting.description import fit_lines, unknown
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.predicting.goodness import FitCheck, GoodnessOfFit
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
        lines, xlabel="share of the calls (%)", ylabel="took at most (s)", width=style.WIDE, height=125.0
    )
    caption = (
        f"{held.calls} calls. Measured: in the trace; calls that had not ended count as longer. Fitted: in a run of "
        f"the fitted scenario; its mean is {held.off:+.1%} off."
    )
    return Chart(held.endpoint, caption, to_svg(drawing))


def write_fit_report(fit: Fit, held: FitCheck, folder: Path) -> Path:
    """Write `fit.html` into `folder` and return its path.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    lost = set(unknown(fit))
    warnings = tuple(line.strip() for line in held.lines())
    found = [line for line in fit_lines(fit) if line.strip() not in lost and line != "not known:"]
    sections = (
        *([Section("Is the fit right?", (Bullets(warnings),))] if warnings else []),
        Section("Not known", (Bullets(tuple(unknown(fit))),)),
        Section("Call times, measured and fitted", (Figures(tuple(map(quantile_chart, held.calls))),)),
        Section("Waits, measured and fitted", (Bullets(tuple(each.words for each in held.waits)),)),
        scenario_section(fit.scenario(), "The fitted scenario"),
    )
    title = "What was fitted"
    return put_page(Document(title, title, sections, blocks=(Bullets(tuple(found)),)), folder / "fit.html")
