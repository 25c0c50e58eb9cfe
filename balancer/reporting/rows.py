"""Drawings of named rows over a scale: boxes, dots, vertical strokes, heat maps, and words in them.

Heat maps show an amount for each row and each part of a time. The ramp is one colour that gets stronger, so a map can
be read in grey and on dark pages. Values are rounded to steps, and neighbours of the same step are one rectangle, so
that a large map is a small drawing.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from balancer.reporting.drawing import Box, Boxes, Drawing, LegendEntry, Line, Marker, Markers, Text
from balancer.reporting.scales import Scale
from balancer.reporting.style import FAINT, HALF, HEAT, INK, ORANGE, PAPER, ROW, SKY, WIDE

__all__ = [
    "STEPS",
    "beside",
    "boxes",
    "dot_entry",
    "dots",
    "heat_map",
    "inside",
    "remark",
    "rows",
    "share_bars",
    "slot_rows",
    "swatch",
    "tick_entry",
    "ticks",
]

_SLOT: Final = 6.5
_HIGHEST: Final = 36.0  # one row of many slots
_PAGE: Final = 576.0  # all rows

STEPS: Final = 10  # more shades of one colour cannot be told apart
_LEAST: Final = 0.1  # the ramp's weakest colour is well off "nothing"
_NOTHING_ALPHA: Final = 0.18
_HALF_ROW: Final = 0.42

_DOT: Final = Marker("o", 3.5, ORANGE, ORANGE)
_HOLLOW: Final = Marker("o", 2.7, PAPER, INK, 1.2)  # smaller, so that both can be seen at one place
_TICK: Final = Marker("|", 4.5, "none", INK, 1.6)


def rows(labels: Sequence[str], *, width: float, xlabel: str, row: float = ROW) -> Drawing:
    """Return a drawing with a row for each label, the first at the top, over a scale with light lines.

    Rows are at 0, 1, ... on the y scale. All parts make room for each other.
    """
    y = Scale((max(1, len(labels)) - 0.4, -0.6), named=list(enumerate(labels)), grid=False)
    return Drawing(width, row * max(1, len(labels)), Scale(label=xlabel, most=8), y)


def slot_rows(labels: Sequence[str], *, slots: int, length: float, xlabel: str) -> Drawing:
    """Return a drawing of rows with room for up to `slots` lines of bars, over a scale up to `length`.

    A thin line separates rows, because bars of two rows would touch.
    """
    drawing = rows(
        labels, width=WIDE, xlabel=xlabel, row=max(ROW, min(_SLOT * slots, _HIGHEST, _PAGE / max(1, len(labels))))
    )
    for row in range(len(labels) - 1):
        drawing.shapes.append(Line((0, length), (row + 0.5, row + 0.5), FAINT, 0.5, alpha=0.35))
    drawing.x.ends = (0, length)
    return drawing


def share_bars(labels: Sequence[str], shares: Sequence[float], due: Sequence[float], *, xlabel: str) -> Drawing:
    """Return a drawing with a row for each label: its share as a bar, and its due share by weight as a stroke.

    Args:
        shares, due: parts of all, 0..1; drawn in percent.
    """
    drawing = rows(labels, width=HALF, xlabel=f"{xlabel} (%)")
    boxes(drawing, [(0, 100 * share, row - 0.3, row + 0.3) for row, share in enumerate(shares)], SKY)
    ticks(drawing, [100 * part for part in due])
    drawing.x.ends = (0, 108 * max(*shares, *due))
    drawing.legend = (swatch("share", SKY), tick_entry("by weight"))
    return drawing


def remark(drawing: Drawing, x: float, row: int, words: str) -> None:
    """Write `words` at `x` in a row."""
    drawing.shapes.append(Text(x, row, words, 4.0))


def beside(drawing: Drawing, row: int, words: str) -> None:
    """Write `words` to the right of a row. The drawing makes room for them."""
    drawing.shapes.append(Text(None, row, words, 10.0))


def inside(drawing: Drawing, row: int, words: str) -> None:
    """Write `words` at the right end of a row."""
    drawing.shapes.append(Text(None, row, words, -4.0, ends=True))


def dots(drawing: Drawing, values: Sequence[float], *, hollow: bool = False) -> None:
    """Draw a dot in each row, unless its value is NaN."""
    drawing.shapes.append(Markers(values, range(len(values)), _HOLLOW if hollow else _DOT))


def ticks(drawing: Drawing, values: Sequence[float]) -> None:
    """Draw a vertical stroke in each row, unless its value is NaN."""
    drawing.shapes.append(Markers(values, range(len(values)), _TICK))


def boxes(drawing: Drawing, corners: Sequence[Box], colour: str) -> None:
    """Fill rectangles."""
    drawing.shapes.append(Boxes(corners, colour))


def swatch(words: str, colour: str) -> LegendEntry:
    """Return the legend entry for `boxes`."""
    return LegendEntry(words, ((colour, 1.0),))


def dot_entry(words: str, *, hollow: bool = False) -> LegendEntry:
    return LegendEntry(words, marker=_HOLLOW if hollow else _DOT)


def tick_entry(words: str) -> LegendEntry:
    return LegendEntry(words, marker=_TICK)


# -- heat maps -----------------------------------------------------------------------------------------


def heat_map(
    labels: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    ends: tuple[float, float],
    xlabel: str,
    label: str,
    nothing: str = "0",
) -> Drawing:
    """Return a drawing with a row for each label, the first at the top, and a legend that shows the ramp.

    Args:
        values: for each row, a value from 0 to 1 for each of the equal parts of the time. Values outside count as 0 or
            1; nan is left out. 0 is grey, so that it differs from what is left out.
        ends: start and end of the time, in the unit of `xlabel`.
        label: name of the values.
        nothing: name of a value of 0.

    Raises:
        ValueError: there is not one row of values for each label, or the time has no length.
    """
    if len(labels) != len(values):
        raise ValueError(f"found {len(values)} rows of values for {len(labels)} labels; give one for each")
    if not ends[0] < ends[1]:
        raise ValueError(f"found a time from {ends[0]} to {ends[1]}; it must end after it begins")
    drawing = rows(labels, width=WIDE, xlabel=xlabel)
    drawing.x = Scale(ends, xlabel, most=8, grid=False)
    for step, found in sorted(_steps(values, ends).items()):
        drawing.shapes.append(Boxes(found, *_shade(step)))
    ramp = [_shade(step) for step in range(1, STEPS + 1)]
    drawing.legend = (LegendEntry(f"{label}, from 0 to 1", ramp), LegendEntry(nothing, [_shade(0)]))
    return drawing


def _steps(values: Sequence[Sequence[float]], ends: tuple[float, float]) -> Mapping[int, list[Box]]:
    """Return the rectangles of each step, 0 (nothing) to `STEPS`."""
    found: defaultdict[int, list[Box]] = defaultdict(list)
    for row, cells in enumerate(values):
        width = (ends[1] - ends[0]) / max(1, len(cells))
        first = 0
        for step, run in groupby(cells, key=_step):
            last = first + sum(1 for _ in run)
            if step is not None:
                left, right = ends[0] + first * width, ends[0] + last * width
                found[step].append((left, right, row - _HALF_ROW, row + _HALF_ROW))
            first = last
    return found


def _step(value: float) -> int | None:
    return None if math.isnan(value) else math.ceil(STEPS * min(1.0, max(0.0, value)))


def _shade(step: int) -> tuple[str, float]:
    """Return colour and alpha of a step."""
    return (FAINT, _NOTHING_ALPHA) if step == 0 else (HEAT, _LEAST + (1 - _LEAST) * step / STEPS)
