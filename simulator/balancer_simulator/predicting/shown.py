"""Tables of a prediction: each figure with its unit and interval, beside today's and the recorded one.

The same table is text, part of the command's output and part of a page.
"""

import math
from io import StringIO
from typing import Final

from rich.console import Console

from balancer.reporting.document import Cell, Column, ColumnKind, Paragraph, Section, Table, table
from balancer.reporting.terminal import print_sections
from balancer.reporting.words import NOTHING, seconds
from balancer_simulator.predicting.predicted import Predicted, PredictedRun
from balancer_simulator.studies.figures import figure_of

__all__ = [
    "interval_words", "off_words", "prediction_section", "prediction_table", "prediction_text", "prediction_words",
    "value_words",
]  # fmt: skip

_WIDTH: Final = 120  # letters of a line of text
_SECONDS: Final = 0.9995  # from here on "1.00 s" and not "1000 ms"
_HOURS: Final = 9999.5
_TIMES: Final = 3.0  # from here on "x 3" and not "+200%"


def prediction_text(found: PredictedRun) -> str:
    """Return a prediction as lines of text: a table, and how to read it."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None)
    print_sections([prediction_section(found)], console)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def prediction_section(found: PredictedRun) -> Section:
    """Return a prediction as a table and paragraphs, under a title."""
    title = "the next run" if not found.at_s else f"the run, after {seconds(found.at_s)}"
    if found.changes:
        title += f": {', '.join(found.changes)}"
    return Section(
        title, (*map(Paragraph, off_words(found)), prediction_table(found), *map(Paragraph, prediction_words(found)))
    )


def off_words(found: PredictedRun) -> list[str]:
    """Return what a reader must know before anything else: that the fit is off, or the record no run like others."""
    unlike = [
        f"{figure_of(name).heading} {value_words(name, was)} recorded, {interval_words(name, each)} predicted"
        for name, (was, each) in found.outside().items()
    ]
    said = f"one run as it is would be unlike the record ({'; '.join(unlike)})"
    return [*found.off, *([said] if unlike else [])]


def prediction_words(found: PredictedRun) -> list[str]:
    """Return how to read the table, then the remarks."""
    several = "from the same resampled fits and requests" if found.today else "from resampled fits"
    lines = [f"in brackets: 95% intervals of one run, {several} ({found.draws})"]
    if found.repeated:
        figures = ", ".join(
            f"{figure_of(name).heading} {interval_words(name, each)}" for name, each in found.repeated.items()
        )
        lines.append(
            "outages come by chance, and a next run may have none; with those of the trace, at the same instants: "
            f"{figures} (--outages recorded)"
        )
    return [*lines, *found.remarks]


def prediction_table(found: PredictedRun) -> Table:
    """Return the figures; with changes, those of today and the difference beside them."""
    recorded = [Column("recorded", ColumnKind.MEASURE)] if found.recorded else []
    now = [Column("as it is", ColumnKind.MEASURE)] if found.today else []
    then = [Column("changed" if found.today else "predicted", ColumnKind.MEASURE)]
    apart = [Column("differs")] if found.today else []
    rows = []
    for name in found.figures:
        row = [Cell(figure_of(name).heading, meaning=figure_of(name).meaning)]
        row += [Cell(value_words(name, found.recorded[name]) if name in found.recorded else NOTHING)] * len(recorded)
        row += [Cell(interval_words(name, found.today.get(name)))] * len(now)
        row += [Cell(interval_words(name, found.figures[name]))]
        row += [Cell(_apart(found.today.get(name), found.figures[name]))] * len(apart)
        rows.append(tuple(row))
    return table([Column("figure", ColumnKind.TEXT, unbroken=True), *recorded, *now, *then, *apart], rows)


def interval_words(name: str, found: Predicted | None) -> str:
    """Return a figure with its unit and interval, all with as many digits as the interval allows, e.g. "182 ms (177 to
    187)".
    """
    if found is None:
        return NOTHING
    scale, unit = _scale(name, found.value or found.high)
    width = scale * (found.high - found.low)
    decimals = min(
        _decimals(each, digits) for each, digits in ((width, 2), (scale * found.value, 4)) if each or not width
    )
    value, low, high = (f"{scale * each:.{decimals}f}" for each in (found.value, found.low, found.high))
    return f"{value}{unit} ({low} to {high})"


def value_words(name: str, value: float) -> str:
    """Return a figure with its unit."""
    scale, unit = _scale(name, value)
    return f"{scale * value:.{_decimals(scale * value, 3)}f}{unit}"


def _decimals(value: float, digits: int) -> int:
    """Return the decimals that give a value so many digits, but none beyond the point for 0."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0


def _scale(name: str, value: float) -> tuple[float, str]:
    """Return the factor and the name of the unit that suits a value of a figure."""
    kind = figure_of(name).unit
    if kind == "s":
        return (1000.0, " ms") if value < _SECONDS else (1.0, " s") if value < _HOURS else (1 / 3600, " h")
    return (100.0, "%") if kind == "part" else (1.0, "")


def _apart(before: Predicted | None, after: Predicted) -> str:
    """Return the difference in percent, or how many times as much it is."""
    if before is None or not before.value:
        return NOTHING
    times = after.value / before.value
    return f"\u00d7 {times:.3g}" if times >= _TIMES else f"{times - 1:+.0%}".replace("+0%", "0%").replace("-0%", "0%")
