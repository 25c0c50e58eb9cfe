"""Line charts: several named lines over two scales, with an interval at each point.

Lines differ in colour, dashes and markers, so that they can be told apart in grey as well. Importing this module
imports matplotlib, so only modules that draw may import it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from balancer.reporting.style import (
    BLUE,
    GREEN,
    INK,
    LETTERS,
    LINE_IN,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILION,
    blank,
    drawable,
    dress,
    legend,
)  # fmt: skip

__all__ = ["MOST_LINES", "ChartLine", "Scale", "line_chart"]

Scale = Literal["linear", "log"]

# Colour, dashes (on, off, ... in widths of the line), marker. Neighbours differ in all three.
_LOOKS: Final = (
    (BLUE, (), "o"),
    (VERMILION, (5.0, 2.0), "s"),
    (GREEN, (6.0, 1.8, 1.2, 1.8), "^"),
    (PURPLE, (1.2, 1.6), "D"),
    (ORANGE, (9.0, 2.5), "v"),
    (SKY, (2.6, 1.4), "X"),
    (INK, (6.0, 1.8, 1.2, 1.8, 1.2, 1.8), "P"),
)
MOST_LINES: Final = 2 * len(_LOOKS)  # the second half looks like the first, with hollow markers
_MARKERS: Final = 12  # on a line; more would hide its dashes
_HANDLE: Final = 4.0  # letters: dashes and a marker can be seen
_STEPS: Final = (1, 2, 2.5, 5, 10)  # between marks, times a power of ten
_STROKE_PT: Final = 1.0
_BESIDE_PT: Final = 2.0  # between the strokes of two lines, so that they do not overlap
_MARGIN: Final = 0.04  # of a scale, so that no marker is cut


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
    width_in: float,
    height_in: float = 2.8,
    xscale: Scale = "linear",
    yscale: Scale = "linear",
) -> tuple[Figure, Axes]:
    """Return a figure and its axes: the lines, with a legend above, and light lines across both scales.

    A linear scale begins at 0, unless all lines would then be in its far half. A log scale shows only values above 0.

    Args:
        height_in: height in inches, without the legend.

    Raises:
        ValueError: there are more lines than `MOST_LINES`, which can be told apart.
    """
    if len(lines) > MOST_LINES:
        raise ValueError(f"found {len(lines)} lines; a chart shows at most {MOST_LINES}; draw several charts")
    drawing = blank(width_in, height_in)
    ax = drawing.add_subplot()
    dress(ax, grid="both")
    ax.set_xlabel(drawable(xlabel), color=INK, **LETTERS)
    ax.set_ylabel(drawable(ylabel), color=INK, **LETTERS)
    _scale(ax, "x", [x for line in lines for x in line.xs], xscale)
    _scale(ax, "y", [y for line in lines for y in (*line.ys, *line.low, *line.high)], yscale)
    entries = [_draw(ax, line, place, len(lines)) for place, line in enumerate(lines)]
    if entries:
        drawing.set_figheight(height_in + LINE_IN * legend(drawing, entries, handle=_HANDLE))
    return drawing, ax


def _draw(ax: Axes, line: ChartLine, place: int, places: int) -> Line2D:
    colour, dashes, marker = _LOOKS[place % len(_LOOKS)]
    step = max(1, math.ceil(len(line.xs) / _MARKERS))
    first = place * step // places  # not all at the same x, because lines may be close
    drawn = Line2D(
        line.xs,
        line.ys,
        color=colour,
        linewidth=1.4,
        linestyle=(0, dashes) if dashes else "solid",
        marker=marker,
        markersize=4.5,
        markerfacecolor=colour if place < len(_LOOKS) else PAPER,
        markeredgecolor=colour,
        markevery=(first, step),
        label=line.name,
        zorder=3,
    )
    ax.add_line(drawn)
    if len(line.low):
        marked = slice(first, None, step)
        beside_in = (place - (places - 1) / 2) * _BESIDE_PT / 72
        beside = ax.transData + ScaledTranslation(beside_in, 0, ax.figure.dpi_scale_trans)
        ends = (line.xs[marked], line.low[marked], line.high[marked])
        ax.vlines(*ends, color=colour, linewidth=_STROKE_PT, transform=beside, zorder=2)
    return drawn


_LEAST = 1e-100  # no figure of ours is smaller: ratios of such numbers overflow, and no scale can show them
_APART = 1 + 1e-9  # numbers closer than this ratio are at one place on a scale


def _scale(ax: Axes, which: Literal["x", "y"], values: Iterable[float], scale: Scale) -> None:
    """Set kind, ends and marks of a scale. All at once, because matplotlib warns about an empty scale."""
    log = scale == "log"
    low, high = _ends([v for v in values if math.isfinite(v) and (v > _LEAST or not log)], log=log)
    ax.set(**{f"{which}scale": scale, f"{which}lim": (low, high)})
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(_marks(low, high) if log else MaxNLocator(6, steps=_STEPS))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _ends(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    """Return the ends of a scale that shows `values`."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    if log:
        room = (high / low) ** _MARGIN if high / low > _APART else 2.0
        return low / room, high * room
    if 0 < low < high / 2:
        low = 0.0
    apart = high - low if high - low > (_APART - 1) * abs(high) else 0.0
    room = next((each for each in (_MARGIN * apart, abs(high) / 10) if each > _LEAST), 1.0)
    return low - room, high + room


def _marks(low: float, high: float) -> Locator:
    """Return the marks of a log scale: at powers of ten if there are some, else closer."""
    if high < 10 * low:
        return MaxNLocator(6, steps=_STEPS)
    return LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,), numticks=9)
