"""SVG drawings as tests see them: words with their places, and shapes."""

import re
from typing import NamedTuple
from xml.etree import ElementTree

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

_LETTERS = 8.0


class Word(NamedTuple):
    """Words of a drawing: where they begin and end, and the height of their line. Turned ones are left out."""

    text: str
    left: float
    right: float
    y: float

    def overlaps(self, other: "Word") -> bool:
        """Return whether both take the same place."""
        return self.left < other.right and other.left < self.right and abs(self.y - other.y) < _LETTERS


def words_of(svg: str) -> list[Word]:
    """Return all words of a drawing that are not turned."""
    found = []
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        transform, text = element.get("transform", ""), element.text or ""
        if "rotate(-90" in transform:
            continue
        if moved := re.match(r"translate\((\S+) (\S+)\)", transform):
            x, y = float(moved[1]), float(moved[2])
        else:
            x, y = float(element.attrib["x"]), float(element.attrib["y"])
        width = _width_of(text)
        anchor = re.search("text-anchor: (middle|end)", element.get("style", ""))
        begins = x - {"middle": width / 2, "end": width}.get(anchor[1] if anchor else "", 0.0)
        found.append(Word(text, begins, begins + width, y))
    return found


def size_of(svg: str) -> tuple[float, float]:
    """Return width and height of a drawing."""
    _, _, width, height = map(float, ElementTree.fromstring(svg).attrib["viewBox"].split())
    return width, height


def _width_of(text: str) -> float:
    plain = "".join(letter if letter.isascii() else "m" for letter in text)
    if not plain.strip():
        return 0.0
    return float(TextPath((0, 0), plain, _LETTERS, FontProperties("DejaVu Sans")).get_extents().width)
