"""Terminal output: names and tables in any encoding."""

from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balancer.reporting.words import NOTHING, shorten, visible

__all__ = ["Clean", "cleaner", "plain_table"]

# Where an encoding has none of these, it has something like them.
_ASCII_SIGNS = str.maketrans({"\u00b1": "+-", "\u2009": " ", "\u00d7": "x"})

Clean = Callable[..., Text]  # clean(text, most=1000, style="")


def cleaner(console: Console) -> Clean:
    """Return what makes a text that this console can print from a string that may hold anything."""

    def clean(text: str, most: int = 1000, style: str = "") -> Text:
        encoding = console.encoding
        shown = shorten(visible(text), most, gap="...").replace(NOTHING, "-")
        if "utf" not in encoding.lower():
            shown = shown.translate(_ASCII_SIGNS)
        return Text(shown.encode(encoding, "replace").decode(encoding), style=style)

    return clean


def plain_table(title: Text | str) -> Table:
    """Return a table with a title at the left, a line under its head, and no other lines."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
