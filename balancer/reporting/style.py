"""Style of all drawings: colours, sizes, letters.

Sizes are in units of a drawing. A wide one has 576 units. A page shows it 1000 px wide at most, so letters are 14 px
high there, 10 px at 700 px, and 7.5 pt on A4.
"""

from types import MappingProxyType
from typing import Final
from unicodedata import east_asian_width

from balancer.reporting.words import shorten, visible

__all__ = [
    "BLUE",
    "FAINT",
    "FONT",
    "GREEN",
    "HALF",
    "HEAT",
    "INK",
    "LETTERS",
    "LINE",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "ROW",
    "SKY",
    "VERMILION",
    "WIDE",
    "drawable",
    "width_of",
]

# Variables of the page, which may be light or dark.
INK: Final = "var(--ink)"
FAINT: Final = "var(--faint)"
PAPER: Final = "var(--paper)"
HEAT: Final = "var(--heat)"

# Okabe and Ito's palette ("Color Universal Design", 2008) without its yellow: told apart by colour-blind readers,
# and dark enough on white as well as light enough on black.
BLUE: Final = "#0072b2"
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
VERMILION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"

WIDE: Final = 576.0
HALF: Final = 281.0
LETTERS: Final = 8.0
LINE: Final = 12.0  # of words
ROW: Final = 15.0
FONT: Final = "DejaVu Sans, Verdana, system-ui, sans-serif"

# Widths in letter heights of the widest of these fonts, rounded up: what has room in it has room in the others.
_ADVANCES: Final = (
    (0.3, "'IJijl"), (0.35, " ,./:;\\f|"), (0.4, "()-[]rt"), (0.5, '!"*_`'), (0.6, "?cszFLTkvxy"),
    (0.65, "$EPSYabdeghnopqu{}0123456789"), (0.75, "BCKRVXZANU"), (0.85, "&DGHOQ#+<=>^w~"),
    (1.0, "M%@Wm\u2192\u2026\ufffd"),
)  # fmt: skip
_ADVANCE: Final = MappingProxyType({letter: width for width, letters in _ADVANCES for letter in letters})
_OTHER: Final = 0.75


def drawable(text: str) -> str:
    """Return `text` on one line, without characters that cannot be seen, and not too long to draw."""
    return visible(shorten(text, 80))


def width_of(text: str) -> float:
    """Return how wide `text` is at most, in units of a drawing."""
    return LETTERS * sum(_ADVANCE.get(c) or (1.0 if east_asian_width(c) in "FW" else _OTHER) for c in text)
