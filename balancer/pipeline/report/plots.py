"""The one style of all charts, and how a drawing becomes an `<svg>` element of a page.

Decides fonts, colours, sizes and what the page's theme may change. Everything is said to the artists
themselves: matplotlib's settings (`rcParams`) belong to the whole process, and reports are written in threads.
Importing this imports matplotlib, so only what draws may import it. It must not know what is drawn.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from balancer.pipeline.report.words import shorten, visible

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "HALF_IN",
    "HEAT",
    "INK",
    "ORANGE",
    "ROW_IN",
    "SKY",
    "WIDE_IN",
    "Box",
    "boxes",
    "dot_entry",
    "dots",
    "drawable",
    "legend",
    "remark",
    "rows",
    "swatch",
    "tick_entry",
    "ticks",
    "to_svg",
]

# Placeholders: `to_svg` turns them into variables of the page, which knows whether it is light or dark.
INK: Final = "#010203"
FAINT: Final = "#040506"
PAPER: Final = "#070809"
HEAT: Final = "#0a0b0c"
_VARIABLES: Final = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)", HEAT: "var(--heat)"}

# Okabe and Ito's palette ("Color Universal Design", 2008): told apart by colour-blind readers, and dark
# enough on white as well as light enough on black.
BLUE: Final = "#0072b2"
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"

# A page is 1000 px wide at most: 8 in, that is 576 units, make 8 pt letters 13 px high there, 9 px at 700 px
# and 7.5 pt on A4.
WIDE_IN: Final = 8.0
HALF_IN: Final = 3.9
ROW_IN: Final = 0.19  # such letters are 0.11 in high
_FRAME_IN: Final = 0.85  # a scale, its label and a legend
_LETTERS_PT: Final = 8.0
_FONT: Final = "DejaVu Sans"  # comes with matplotlib

# Names are text, not formulas: neither $...$ nor TeX.
_PLAIN: Final[dict[str, Any]] = {"fontfamily": _FONT, "fontsize": _LETTERS_PT, "parse_math": False, "usetex": False}

Box = tuple[float, float, float, float]  # left, right, bottom, top


def rows(labels: Sequence[str], *, width_in: float, xlabel: str, row_in: float = ROW_IN) -> tuple[Figure, Axes]:
    """Return a figure and its axes: a row for each label, the first at the top, over a scale with light lines.

    Rows are at 0, 1, ... on the y axis, and all parts make room for each other.
    """
    size = (width_in, _FRAME_IN + row_in * len(labels))
    drawing = Figure(figsize=size, dpi=72, layout="constrained", facecolor="none", edgecolor="none")
    ax = drawing.add_subplot()
    ax.set_facecolor("none")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.grid(visible=True, axis="x", color=FAINT, alpha=0.35, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(bottom=False, left=False, pad=6, labelsize=_LETTERS_PT, labelfontfamily=_FONT, labelcolor=INK)
    ax.tick_params(axis="x", pad=2)
    ax.set_xlabel(xlabel, color=INK, **_PLAIN)
    ax.set_yticks(range(len(labels)), [drawable(label) for label in labels], color=INK, **_PLAIN)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    return drawing, ax


def remark(ax: Axes, x: float, row: int, words: str, *, beside: bool = False) -> None:
    """Write `words` at `x` in a row; `beside` the axes, `x` counts in widths of the axes."""
    transform = ax.get_yaxis_transform() if beside else ax.transData
    ax.text(x, row, drawable(words), va="center", color=INK, transform=transform, **_PLAIN)


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


def legend(drawing: Figure, entries: Sequence[Artist]) -> None:
    """Put a legend above the axes, made of what `swatch`, `dot_entry` and `tick_entry` return."""
    drawing.legend(
        handles=entries,
        loc="outside upper left",
        ncols=max(1, len(entries)),
        frameon=False,
        prop=FontProperties(family=_FONT, size=_LETTERS_PT),
        labelcolor=INK,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.4,
        borderpad=0.0,
    )


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


def drawable(text: str) -> str:
    """Return `text` with a sign for each character that the font lacks; matplotlib would warn of each."""
    font = get_font(findfont(FontProperties(family=_FONT)))
    return "".join(c if font.get_char_index(ord(c)) else "\ufffd" for c in visible(shorten(text, 80)))


def to_svg(drawing: Figure, name: str) -> str:
    """Return the drawing as an `<svg>` element: no comments, no metadata, the same bytes for the same drawing.

    Args:
        name: letters; makes ids that no other drawing of the page has. matplotlib's own are random unless a
            setting of the whole process says otherwise.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    drawing.savefig(buffer, format="svg", metadata=nothing, facecolor="none", edgecolor="none")
    text = buffer.getvalue()
    text = re.sub(r"<!--.*?-->\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", text))
    text = re.sub(r' d="[^"]*"', lambda d: re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", d[0])), text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return _renamed(text, name).strip()


def _renamed(text: str, name: str) -> str:
    """Number the ids that something refers to, in the order they come, and drop the others."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    numbers: Iterator[int] = count(1)
    ids = {old: f"{name}{next(numbers)}" for old in dict.fromkeys(re.findall(r' id="([^"]+)"', text)) if old in used}
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{ids[m[1]]}"' if m[1] in ids else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + ids.get(m[2], m[2]), text)
