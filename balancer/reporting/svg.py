"""SVG output: a matplotlib figure as an `<svg>` element, the same bytes for the same drawing.

Decides what is taken out, so that the same drawing gives the same bytes, and what the page's theme colours. It must
not know what is drawn.
"""

import io
import re
from collections.abc import Iterator
from itertools import count

from matplotlib.figure import Figure

from balancer.reporting.style import VARIABLES

__all__ = ["to_svg"]


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
    for placeholder, variable in VARIABLES.items():
        text = text.replace(placeholder, variable)
    return _renamed(text, name).strip()


def _renamed(text: str, name: str) -> str:
    """Number the ids that something refers to, in the order they come, and drop the others."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    numbers: Iterator[int] = count(1)
    ids = {old: f"{name}{next(numbers)}" for old in dict.fromkeys(re.findall(r' id="([^"]+)"', text)) if old in used}
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{ids[m[1]]}"' if m[1] in ids else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + ids.get(m[2], m[2]), text)
