"""How a name gets into a terminal. It must not know tables, nor what is printed."""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from balancer.reporting.words import NOTHING, shorten, visible

__all__ = ["Clean", "cleaner"]

Clean = Callable[..., Text]  # clean(text, most=1000, style="")


def cleaner(console: Console) -> Clean:
    """Return what makes a text that this console can print from a string that may hold anything."""

    def clean(text: str, most: int = 1000, style: str = "") -> Text:
        encoding = console.encoding
        shown = shorten(visible(text), most, gap="...").replace(NOTHING, "-")
        return Text(shown.encode(encoding, "replace").decode(encoding), style=style)

    return clean
