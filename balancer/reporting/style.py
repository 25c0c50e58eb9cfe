"""The style of all charts: fonts, colours, sizes, scales, and what the page's theme may change.

Everything is said to the artists themselves: matplotlib's settings (`rcParams`) belong to the whole process, and
reports are written in threads. Importing this imports matplotlib, so only what draws may import it. It must not
know what is drawn.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

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
]

# Placeholders: `to_svg` turns them into variables of the page, which knows whether it is light or dark.
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
ROW_IN: Final = 0.19  # such letters are 0.11 in high
LETTERS_PT: Final = 8.0
FONT: Final = "DejaVu Sans"  # comes with matplotlib

# Names are text, not formulas: neither $...$ nor TeX.
LETTERS: Final[Mapping[str, Any]] = MappingProxyType(
    {"fontfamily": FONT, "fontsize": LETTERS_PT, "parse_math": False, "usetex": False}
)


def blank(width_in: float, height_in: float) -> Figure:
    """Return a figure with nothing on it, not even paper. What is put on it makes room for each other."""
    return Figure(figsize=(width_in, height_in), dpi=72, layout="constrained", facecolor="none", edgecolor="none")


def dress(ax: Axes, *, grid: Literal["x", "y", "both"]) -> None:
    """Give axes the style: no frame, and light lines across the scales that `grid` names."""
    ax.set_facecolor("none")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=FAINT, alpha=0.35, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(bottom=False, left=False, pad=6, labelsize=LETTERS_PT, labelfontfamily=FONT, labelcolor=INK)
    ax.tick_params(axis="x", pad=2)


def drawable(text: str) -> str:
    """Return `text` with a sign for each character that the font lacks; matplotlib would warn of each."""
    font = get_font(findfont(FontProperties(family=FONT)))
    return "".join(c if font.get_char_index(ord(c)) else "\ufffd" for c in visible(shorten(text, 80)))
