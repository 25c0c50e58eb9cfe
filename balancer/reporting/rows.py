"""Drawings of named rows over a scale: boxes, dots, upright strokes and words in them.

Decides where a row is and how high. Importing this imports matplotlib, so only what draws may import it. It must
not know what is drawn.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from balancer.reporting.legend import legend
from balancer.reporting.style import (
    FAINT,
    HALF_IN,
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
)

__all__ = [
    "FRAME_IN",
    "Box",
    "boxes",
    "dot_entry",
    "dots",
    "dress_rows",
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


def rows(labels: Sequence[str], *, width_in: float, xlabel: str, row_in: float = ROW_IN) -> tuple[Figure, Axes]:
    """Return a figure and its axes: a row for each label, the first at the top, over a scale with light lines.

    Rows are at 0, 1, ... on the y axis, and all parts make room for each other.
    """
    drawing = blank(width_in, FRAME_IN + row_in * len(labels))
    ax = drawing.add_subplot()
    dress_rows(ax, labels, xlabel=xlabel)
    return drawing, ax


def slot_rows(labels: Sequence[str], *, slots: int, length: float, xlabel: str) -> tuple[Figure, Axes]:
    """Return a figure and its axes: rows with room for as many as `slots` lines of bars, over a scale up to `length`.

    A thin line is between rows, as bars of two rows would touch.
    """
    row_in = max(ROW_IN, min(_SLOT_IN * slots, _HIGHEST_IN, _PAGE_IN / max(1, len(labels))))
    drawing, ax = rows(labels, width_in=WIDE_IN, xlabel=xlabel, row_in=row_in)
    ax.hlines([row + 0.5 for row in range(len(labels) - 1)], 0, length, color=FAINT, alpha=0.35, linewidth=0.5)
    ax.set_xlim(0, length)
    return drawing, ax


def share_bars(labels: Sequence[str], shares: Sequence[float], due: Sequence[float], *, xlabel: str) -> Figure:
    """Return a figure with a row for each label: its share as a bar, and what is due to it by weight as a stroke.

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
    """Write `words` at `x` in a row, or so that they end there; `beside` the axes, `x` counts in widths of the axes."""
    transform = ax.get_yaxis_transform() if beside else ax.transData
    side = "right" if to_the_left else "left"
    ax.text(x, row, drawable(words), ha=side, va="center", color=INK, transform=transform, **LETTERS)


def dots(ax: Axes, values: Sequence[float], *, hollow: bool = False) -> None:
    """Put a dot into each row."""
    ax.add_line(_dot(values, hollow=hollow))


def ticks(ax: Axes, values: Sequence[float]) -> None:
    """Put an upright stroke into each row."""
    ax.add_line(_tick(values))


def boxes(ax: Axes, corners: Iterable[Box], colour: str, *, alpha: float = 1.0) -> None:
    """Fill many rectangles as one shape: a third of the size of one shape each."""
    vertices = [
        corner
        for left, right, bottom, top in corners
        for corner in ((left, bottom), (right, bottom), (right, top), (left, top), (left, bottom))
    ]
    if vertices:
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(vertices) // 5)
        ax.add_patch(PathPatch(Path(vertices, codes), facecolor=colour, edgecolor="none", linewidth=0, alpha=alpha))


def swatch(words: str, colour: str, *, alpha: float = 1.0) -> Artist:
    """Return a legend's entry for `boxes`."""
    return Patch(facecolor=colour, edgecolor="none", linewidth=0, alpha=alpha, label=words)


def dot_entry(words: str, *, hollow: bool = False) -> Artist:
    """Return a legend's entry for `dots`."""
    return _dot([], hollow=hollow, words=words)


def tick_entry(words: str) -> Artist:
    """Return a legend's entry for `ticks`."""
    return _tick([], words=words)


def _dot(values: Sequence[float], *, hollow: bool, words: str = "") -> Line2D:
    face, edge = (PAPER, INK) if hollow else (ORANGE, ORANGE)
    return Line2D(
        values,
        range(len(values)),
        linestyle="none",
        marker="o",
        markersize=5.0 if hollow else 7.0,  # where both are, both are seen
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
