"""Line charts: several named lines over two scales, with an interval at each point.

Lines differ in colour, dashes and markers, so that they can be told apart in grey as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from balancer.reporting.drawing import Drawing, LegendEntry, Line, Marker, Markers, Strokes
from balancer.reporting.scales import Scale, ends_of
from balancer.reporting.style import BLUE, GREEN, INK, ORANGE, PAPER, PURPLE, SKY, VERMILION

__all__ = ["MOST_LINES", "ChartLine", "Kind", "line_chart"]

Kind = Literal["linear", "log"]

# Colour, dashes (on, off, ... in units), marker. Neighbours differ in all three.
_LOOKS: Final = (
    (BLUE, (), "o"),
    (VERMILION, (7.0, 2.8), "s"),
    (GREEN, (8.4, 2.5, 1.7, 2.5), "^"),
    (PURPLE, (1.7, 2.2), "D"),
    (ORANGE, (12.6, 3.5), "v"),
    (SKY, (3.6, 2.0), "X"),
    (INK, (8.4, 2.5, 1.7, 2.5, 1.7, 2.5), "P"),
)
MOST_LINES: Final = 2 * len(_LOOKS)  # the second half looks like the first, with hollow markers
_MARKERS: Final = 12  # on a line; more would hide its dashes
_MARKER: Final = 2.6
_WIDTH: Final = 1.4
_BESIDE: Final = 2.0  # units between the strokes of two lines, so that they do not overlap


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A named line.

    Attributes:
        name: its words in the legend, shown unchanged.
        xs, ys: its points, from left to right; it is interrupted where one is not finite.
        low, high: ends of an interval at each point, drawn as a vertical stroke; empty for none.

    Raises:
        ValueError: the sequences differ in length.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def __post_init__(self) -> None:
        sizes = [len(each) for each in (self.xs, self.ys, self.low, self.high)]
        if sizes[0] != sizes[1] or sizes[2:] not in ([0, 0], [sizes[0]] * 2):
            raise ValueError(
                f"line {self.name!r} has {sizes[0]} xs, {sizes[1]} ys, {sizes[2]} low and {sizes[3]} high; "
                "give the same number of each, or no low and high"
            )


def line_chart(
    lines: Sequence[ChartLine],
    *,
    xlabel: str,
    ylabel: str,
    width: float,
    height: float = 170.0,
    xscale: Kind = "linear",
    yscale: Kind = "linear",
) -> Drawing:
    """Return a drawing of the lines, with a legend above, and light lines across both scales.

    A linear scale begins at 0, unless all lines would then be in its far half. A log scale shows only values above 0.

    Args:
        height: in units, without scale and legend.

    Raises:
        ValueError: there are more lines than `MOST_LINES`, which can be told apart.
    """
    if len(lines) > MOST_LINES:
        raise ValueError(f"found {len(lines)} lines; a chart shows at most {MOST_LINES}; draw several charts")
    xs = [x for line in lines for x in line.xs]
    ys = [y for line in lines for y in (*line.ys, *line.low, *line.high)]
    x_log, y_log = xscale == "log", yscale == "log"
    x, y = Scale(ends_of(xs, log=x_log), xlabel, x_log), Scale(ends_of(ys, log=y_log), ylabel, y_log)
    drawing = Drawing(width, height, x, y)
    drawing.legend = [_draw(drawing, line, place, len(lines)) for place, line in enumerate(lines)]
    drawing.shapes.sort(key=lambda shape: not isinstance(shape, Strokes))  # below all lines
    return drawing


def _draw(drawing: Drawing, line: ChartLine, place: int, places: int) -> LegendEntry:
    colour, dashes, shape = _LOOKS[place % len(_LOOKS)]
    step = max(1, math.ceil(len(line.xs) / _MARKERS))
    marked = slice(place * step // places, None, step)  # not all at the same x, because lines may be close
    marker = Marker(shape, _MARKER, colour if place < len(_LOOKS) else PAPER, colour)
    drawn = Line(line.xs, line.ys, colour, _WIDTH, dashes)
    if line.low:
        beside = (place - (places - 1) / 2) * _BESIDE
        drawing.shapes.append(Strokes(line.xs[marked], line.low[marked], line.high[marked], colour, beside))
    drawing.shapes += [drawn, Markers(line.xs[marked], line.ys[marked], marker)]
    return LegendEntry(line.name, line=drawn, marker=marker)
