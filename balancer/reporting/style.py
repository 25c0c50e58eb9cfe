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

from balancer.reporting.words import shorten, visible

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


def drawable(text: str) -> str:
    """Return `text` with a sign for each character that the font lacks; matplotlib would warn of each."""
    font = get_font(findfont(FontProperties(family=_FONT)))
    return "".join(c if font.get_char_index(ord(c)) else "\ufffd" for c in visible(shorten(text, 80)))
