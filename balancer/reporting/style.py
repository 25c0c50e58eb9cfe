"""Style of all charts: fonts, colours, sizes, scales, legends, and their SVG output.

The style is set on the artists, because matplotlib's settings (`rcParams`) belong to the whole process and reports are
written in threads. Importing this module imports matplotlib, so only modules that draw may import it.

SVG output leaves out all that would change the bytes of the same drawing. The theme of the page sets its colours.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any, Final, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from balancer.reporting.words import shorten, visible

__all__ = [
    "BLUE",
    "FAINT",
    "FONT",
    "GREEN",
    "HALF_IN",
    "HEAT",
    "INK",
    "LETTERS",
    "LETTERS_PT",
    "LINE_IN",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "ROW_IN",
    "SKY",
    "VARIABLES",
    "VERMILION",
    "WIDE_IN",
    "blank",
    "drawable",
    "dress",
    "legend",
    "to_svg",
]

# Placeholders: `to_svg` makes them variables of the page, which may be light or dark.
INK: Final = "#010203"
FAINT: Final = "#040506"
PAPER: Final = "#070809"
HEAT: Final = "#0a0b0c"
VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)", HEAT: "var(--heat)"}
)

# Okabe and Ito's palette ("Color Universal Design", 2008) without its yellow: told apart by colour-blind readers,
# and dark enough on white as well as light enough on black.
BLUE: Final = "#0072b2"
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
VERMILION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"

# A page is 1000 px wide at most: 8 in, that is 576 units, make 8 pt letters 13 px high there, 9 px at 700 px
# and 7.5 pt on A4.
WIDE_IN: Final = 8.0
HALF_IN: Final = 3.9
ROW_IN: Final = 0.19  # these letters are 0.11 in high
LETTERS_PT: Final = 8.0
FONT: Final = "DejaVu Sans"  # comes with matplotlib

# Names are text, not formulas: neither $...$ nor TeX.
LETTERS: Final[Mapping[str, Any]] = MappingProxyType(
    {"fontfamily": FONT, "fontsize": LETTERS_PT, "parse_math": False, "usetex": False}
)
LINE_IN: Final = 0.17  # the height of one line of a legend
_HANDLE, _HANDLE_PAD, _COLUMN_PAD = 1.2, 0.5, 1.4  # in letters


def blank(width_in: float, height_in: float) -> Figure:
    """Return an empty figure without a background. Its parts make room for each other."""
    return Figure(figsize=(width_in, height_in), dpi=72, layout="constrained", facecolor="none", edgecolor="none")


def dress(ax: Axes, *, grid: Literal["x", "y", "both"]) -> None:
    """Style the axes: no frame, and light lines across the scales that `grid` names."""
    ax.set_facecolor("none")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=FAINT, alpha=0.35, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(bottom=False, left=False, pad=6, labelsize=LETTERS_PT, labelfontfamily=FONT, labelcolor=INK)
    ax.tick_params(axis="x", pad=2)


def drawable(text: str) -> str:
    """Return `text` with a sign for each character that the font lacks, because matplotlib warns about each."""
    font = get_font(findfont(FontProperties(family=FONT)))
    return "".join(c if font.get_char_index(ord(c)) else "\ufffd" for c in visible(shorten(text, 80)))


def legend(drawing: Figure, entries: Sequence[Artist], *, handle: float = _HANDLE) -> int:
    """Put a legend above the axes, made of artists with labels. Return its number of lines.

    Args:
        handle: width of the sign before each word, in letters.
    """
    names = [drawable(str(entry.get_label())) for entry in entries]
    columns = _columns(drawing, names, handle)
    made = drawing.legend(
        handles=entries,
        labels=["name"] * len(names),  # matplotlib leaves out a label that starts with "_"
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        prop=FontProperties(family=FONT, size=LETTERS_PT),
        labelcolor=INK,
        handlelength=handle,
        handletextpad=_HANDLE_PAD,
        columnspacing=_COLUMN_PAD,
        borderpad=0.0,
    )
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False, usetex=False)
    return -(-len(names) // columns)


def _columns(drawing: Figure, names: Sequence[str], handle: float) -> int:
    """Return how many columns of the widest entry fit: all entries if their own widths do."""
    around_pt = (handle + _HANDLE_PAD + _COLUMN_PAD) * LETTERS_PT
    widths_pt = [_width_pt(name) + around_pt for name in names]
    room_pt = 72 * drawing.get_figwidth()
    if sum(widths_pt) <= room_pt:
        return max(1, len(names))
    return max(1, int(room_pt / max(widths_pt)))


def _width_pt(text: str) -> float:
    font = get_font(findfont(FontProperties(family=FONT)))
    font.set_size(LETTERS_PT, 72)
    font.set_text(text, 0.0)
    width, _ = font.get_width_height()
    return float(width) / 64  # FreeType counts in 64ths


def to_svg(drawing: Figure, name: str) -> str:
    """Return the drawing as an `<svg>` element without comments and metadata: the same bytes for the same drawing.

    Args:
        name: letters; makes the ids of this drawing unique in the page. matplotlib's own ids are random, unless a
            setting of the whole process fixes them.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    drawing.savefig(buffer, format="svg", metadata=nothing, facecolor="none", edgecolor="none")
    text = buffer.getvalue()
    text = re.sub(r"<!--.*?-->\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", text))
    text = re.sub(r' d="[^"]*"', lambda d: re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", d[0])), text)
    for placeholder, variable in VARIABLES.items():
        text = text.replace(placeholder, variable)
    return _renamed(text, name).strip()


def _renamed(text: str, name: str) -> str:
    """Number the ids that are referred to, in order, and drop the others."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    numbers: Iterator[int] = count(1)
    ids = {old: f"{name}{next(numbers)}" for old in dict.fromkeys(re.findall(r' id="([^"]+)"', text)) if old in used}
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{ids[m[1]]}"' if m[1] in ids else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + ids.get(m[2], m[2]), text)
