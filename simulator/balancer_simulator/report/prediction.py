"""Report of a prediction: plain data, and `prediction.html`, a self-contained page with a chart of the intervals."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from balancer.reporting import charts
from balancer.reporting.charts import to_svg
from balancer.reporting.document import Block, Bullets, Chart, Document, Figures, Paragraph
from balancer_simulator.predicting.predicted import Predicted, PredictedRun
from balancer_simulator.predicting.shown import (
    off_words,
    prediction_section,
    prediction_table,
    prediction_words,
    value_words,
)
from balancer_simulator.report.document import put_page
from balancer_simulator.studies.figures import figure_of

__all__ = ["interval_chart", "prediction_data", "write_prediction"]

_CHARTS: Final = (
    ("Times of a request", ("sojourn_mean_s", "sojourn_p50_s", "sojourn_p99_s", "wait_mean_s", "wait_p99_s")),
    ("The whole run", ("makespan_s",)),
)


def prediction_data(found: PredictedRun) -> dict[str, Any]:
    """Return a prediction of a next run as plain data."""
    return {
        "changes": list(found.changes),
        "draws": found.draws,
        "recorded": found.recorded,
        "today": {name: asdict(each) for name, each in (found.today or found.figures).items()},
        "changed": {name: asdict(each) for name, each in found.figures.items()} if found.today else None,
        "off": off_words(found),
        "remarks": list(found.remarks),
        "repeated": {name: asdict(each) for name, each in found.repeated.items()},
    }


def interval_chart(found: PredictedRun, title: str, names: tuple[str, ...]) -> Chart:
    """Return the figures in seconds as dots over their intervals, with changes below those of today."""
    drawn: list[tuple[str, Predicted, str, float | None]] = []
    for name in (name for name in names if name in found.figures):
        heading = figure_of(name).heading
        if name in found.today:
            drawn.append((heading, found.today[name], charts.SKY, found.recorded.get(name)))
            drawn.append(("", found.figures[name], charts.GREEN, None))
        else:
            drawn.append((heading, found.figures[name], charts.SKY, found.recorded.get(name)))
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


def write_prediction(found: PredictedRun, unknown: tuple[str, ...], folder: Path) -> Path:
    """Write `prediction.html` into `folder` and return its path.

    Args:
        unknown: what the trace does not tell.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    blocks: tuple[Block, ...] = (
        *(Paragraph(_sentence(line)) for line in off_words(found)),
        Paragraph(f"Predicted: {prediction_section(found).title}."),
        prediction_table(found),
        *(Paragraph(_sentence(line), soft=True) for line in prediction_words(found)),
        Figures(tuple(_charts(found))),
        *([Bullets(unknown, title="Not known")] if unknown else []),
    )
    return put_page(Document("Prediction", "Prediction", (), blocks=blocks), folder / "prediction.html")


def _charts(found: PredictedRun) -> Iterator[Chart]:
    for title, names in _CHARTS:
        if any(name in found.figures for name in names):
            yield interval_chart(found, title, names)


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."
