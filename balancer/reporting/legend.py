"""The one kind of legend: above the axes, in as many columns as there is room for.

Importing this imports matplotlib, so only what draws may import it. It must not know what is drawn.
"""

from collections.abc import Sequence
from typing import Final

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from balancer.reporting.style import FONT, INK, LETTERS_PT, drawable

__all__ = ["LINE_IN", "legend"]

LINE_IN: Final = 0.17  # the height of one line of a legend
_HANDLE, _HANDLE_PAD, _COLUMN_PAD = 1.2, 0.5, 1.4  # in letters


def legend(drawing: Figure, entries: Sequence[Artist], *, handle: float = _HANDLE) -> int:
    """Put a legend above the axes, made of artists whose labels are its words. Return how many lines it has.

    Args:
        handle: the width of the sign before each word, in letters.
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
