"""Drawings of named rows over a scale: boxes, dots, vertical strokes, heat maps, and words in them.

Importing this module imports matplotlib, so only modules that draw may import it.

Heat maps show an amount for each row and each part of a time. The ramp is one colour that gets stronger, so a map can
be read in grey and on dark pages. Values are rounded to steps, and neighbours of the same step are one rectangle, so
that a large map is a small drawing.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from balancer.reporting.style import (
    FAINT,
    HALF_IN,
    HEAT,
    INK,
    LETTERS,
    ORANGE,
    PAPER,
    ROW_IN,
    SKY,
    WIDE_IN,
    blank,
    drawable,
    dress,
    legend,
)

__all__ = [
    "FRAME_IN",
    "STEPS",
    "Box",
    "boxes",
    "dot_entry",
    "dots",
    "dress_rows",
    "heat_map",
    "remark",
    "rows",
    "share_bars",
    "slot_rows",
    "swatch",
    "tick_entry",
    "ticks",
]

FRAME_IN: Final = 0.85  # a scale, its label and a legend

_SLOT_IN: Final = 0.09
_HIGHEST_IN: Final = 0.5  # one row of many slots
_PAGE_IN: Final = 8.0  # all rows

Box = tuple[float, float, float, float]  # left, right, bottom, top
STEPS: Final = 10  # more shades of one colour cannot be told apart
_BAR_IN: Final = 0.1
_LEAST: Final = 0.1  # the ramp's weakest colour is well off "nothing"
_NOTHING_ALPHA: Final = 0.18
_GAP: Final = 0.02  # between grey and the ramp, of the ramp
_HALF_ROW: Final = 0.42


def rows(labels: Sequence[str], *, width_in: float, xlabel: str, row_in: float = ROW_IN) -> tuple[Figure, Axes]:
    """Return a figure and its axes: a row for each label, the first at the top, over a scale with light lines.

    Rows are at 0, 1, ... on the y axis. All parts make room for each other.
    """
    drawing = blank(width_in, FRAME_IN + row_in * len(labels))
    ax = drawing.add_subplot()
    dress_rows(ax, labels, xlabel=xlabel)
    return drawing, ax


def slot_rows(labels: Sequence[str], *, slots: int, length: float, xlabel: str) -> tuple[Figure, Axes]:
    """Return a figure and its axes: rows with room for up to `slots` lines of bars, over a scale up to `length`.

    A thin line separates rows, because bars of two rows would touch.
    """
    row_in = max(ROW_IN, min(_SLOT_IN * slots, _HIGHEST_IN, _PAGE_IN / max(1, len(labels))))
    drawing, ax = rows(labels, width_in=WIDE_IN, xlabel=xlabel, row_in=row_in)
    ax.hlines([row + 0.5 for row in range(len(labels) - 1)], 0, length, color=FAINT, alpha=0.35, linewidth=0.5)
    ax.set_xlim(0, length)
    return drawing, ax


def share_bars(labels: Sequence[str], shares: Sequence[float], due: Sequence[float], *, xlabel: str) -> Figure:
    """Return a figure with a row for each label: its share as a bar, and its due share by weight as a stroke.

    Args:
        shares, due: parts of all, 0..1; drawn in percent.
    """
    drawing, ax = rows(labels, width_in=HALF_IN, xlabel=f"{xlabel} (%)")
    boxes(ax, [(0, 100 * share, row - 0.3, row + 0.3) for row, share in enumerate(shares)], SKY)
    ticks(ax, [100 * part for part in due])
    ax.set_xlim(0, 108 * max(*shares, *due))
    legend(drawing, (swatch("share", SKY), tick_entry("by weight")))
    return drawing


def dress_rows(ax: Axes, labels: Sequence[str], *, xlabel: str) -> None:
    """Make a row for each label in axes."""
    dress(ax, grid="x")
    ax.set_xlabel(xlabel, color=INK, **LETTERS)
    ax.set_yticks(range(len(labels)), [drawable(label) for label in labels], color=INK, **LETTERS)
    ax.set_ylim(len(labels) - 0.4, -0.6)


def remark(ax: Axes, x: float, row: int, words: str, *, beside: bool = False, to_the_left: bool = False) -> None:
    """Write `words` at `x` in a row, or so that they end there. With `beside`, `x` counts in widths of the axes."""
    transform = ax.get_yaxis_transform() if beside else ax.transData
    side = "right" if to_the_left else "left"
    ax.text(x, row, drawable(words), ha=side, va="center", color=INK, transform=transform, **LETTERS)


def dots(ax: Axes, values: Sequence[float], *, hollow: bool = False) -> None:
    """Draw a dot in each row."""
    ax.add_line(_dot(values, hollow=hollow))


def ticks(ax: Axes, values: Sequence[float]) -> None:
    """Draw a vertical stroke in each row."""
    ax.add_line(_tick(values))


def boxes(ax: Axes, corners: Iterable[Box], colour: str, *, alpha: float = 1.0) -> None:
    """Fill many rectangles as one shape, which takes a third of the bytes of single shapes."""
    vertices = [
        corner
        for left, right, bottom, top in corners
        for corner in ((left, bottom), (right, bottom), (right, top), (left, top), (left, bottom))
    ]
    if vertices:
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(vertices) // 5)
        filled = PathPatch(Path(vertices, codes), facecolor=colour, edgecolor="none", linewidth=0, alpha=alpha)
        ax.add_artist(filled)  # unlike `add_patch`, this does not look at each corner for the ends of the scales


def swatch(words: str, colour: str, *, alpha: float = 1.0) -> Artist:
    """Return the legend entry for `boxes`."""
    return Patch(facecolor=colour, edgecolor="none", linewidth=0, alpha=alpha, label=words)


def dot_entry(words: str, *, hollow: bool = False) -> Artist:
    """Return the legend entry for `dots`."""
    return _dot([], hollow=hollow, words=words)


def tick_entry(words: str) -> Artist:
    """Return the legend entry for `ticks`."""
    return _tick([], words=words)


def _dot(values: Sequence[float], *, hollow: bool, words: str = "") -> Line2D:
    face, edge = (PAPER, INK) if hollow else (ORANGE, ORANGE)
    return Line2D(
        values,
        range(len(values)),
        linestyle="none",
        marker="o",
        markersize=5.0 if hollow else 7.0,  # smaller, so that both can be seen at one place
        markeredgewidth=1.2,
        markerfacecolor=face,
        markeredgecolor=edge,
        label=words,
        zorder=4 if hollow else 3,
        clip_on=False,
    )


def _tick(values: Sequence[float], *, words: str = "") -> Line2D:
    return Line2D(
        values,
        range(len(values)),
        linestyle="none",
        marker="|",
        markersize=9.0,
        markeredgewidth=1.6,
        markeredgecolor=INK,
        label=words,
        clip_on=False,
    )


def heat_map(
    labels: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    ends: tuple[float, float],
    xlabel: str,
    label: str,
    width_in: float,
    row_in: float = ROW_IN,
    nothing: str = "0",
) -> tuple[Figure, Axes]:
    """Return a figure and its axes: a row for each label, the first at the top, and a colour bar above.

    Args:
        values: for each row, a value from 0 to 1 for each of the equal parts of the time. Values outside count as 0 or
            1; nan is left out. 0 is grey, so that it differs from what is left out.
        ends: start and end of the time, in the unit of `xlabel`.
        label: name of the values.
        nothing: name of a value of 0, under the grey beside the colour bar.

    Raises:
        ValueError: there is not one row of values for each label, or the time has no length.
    """
    if len(labels) != len(values):
        raise ValueError(f"found {len(values)} rows of values for {len(labels)} labels; give one for each")
    if not ends[0] < ends[1]:
        raise ValueError(f"found a time from {ends[0]} to {ends[1]}; it must end after it begins")
    drawing = blank(width_in, FRAME_IN + _BAR_IN + row_in * len(labels))
    heights = (_BAR_IN, row_in * max(1, len(labels)))
    grid = drawing.add_gridspec(2, 2, height_ratios=heights, width_ratios=(1, 1))
    ax = drawing.add_subplot(grid[1, :])
    dress_rows(ax, labels, xlabel=drawable(xlabel))
    ax.grid(visible=False)
    _fill(ax, _steps(values, ends))
    ax.set_xlim(ends)
    _bar(drawing.add_subplot(grid[0, 0]), drawable(label), drawable(nothing))
    return drawing, ax


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


def _fill(ax: Axes, steps: Mapping[int, Iterable[Box]]) -> None:
    for step, found in sorted(steps.items()):
        if step == 0:
            boxes(ax, found, FAINT, alpha=_NOTHING_ALPHA)
        else:
            boxes(ax, found, HEAT, alpha=_LEAST + (1 - _LEAST) * step / STEPS)


def _bar(ax: Axes, label: str, nothing: str) -> None:
    """Draw grey and the ramp, with their scale above and their label at the right."""
    dress(ax, grid="x")
    ax.grid(visible=False)
    grey = (-1 / STEPS - _GAP, -_GAP)
    ramp = {step: [((step - 1) / STEPS, step / STEPS, 0.0, 1.0)] for step in range(1, STEPS + 1)}
    _fill(ax, {0: [(*grey, 0.0, 1.0)], **ramp})
    ax.set(xlim=(grey[0], 1), ylim=(0, 1))
    ax.xaxis.tick_top()
    ax.tick_params(top=False)
    ax.set_xticks([sum(grey) / 2, 0.5, 1.0], [nothing, "0.5", "1"], color=INK, **LETTERS)
    ax.set_yticks([])
    ax.text(1.03, 0.5, label, ha="left", va="center", color=INK, **LETTERS)
