"""SVG drawings as tests see them: words with their places."""

import re
from typing import NamedTuple
from xml.etree import ElementTree

from balancer.reporting.style import LETTERS, width_of

__all__ = ["Word", "size_of", "words_of"]


class Word(NamedTuple):
    """Words of a drawing: where they begin and end, and the height of their line. Turned ones are left out."""

    text: str
    left: float
    right: float
    y: float

    def overlaps(self, other: "Word") -> bool:
        """Return whether both take the same place."""
        return self.left < other.right and other.left < self.right and abs(self.y - other.y) < LETTERS


def words_of(svg: str) -> list[Word]:
    """Return all words of a drawing that are not turned."""
    found: list[Word] = []
    _gather(ElementTree.fromstring(svg), 0.0, 0.0, found)
    return found


def size_of(svg: str) -> tuple[float, float]:
    """Return width and height of a drawing."""
    _, _, width, height = map(float, ElementTree.fromstring(svg).attrib["viewBox"].split())
    return width, height


def _gather(element: ElementTree.Element, right: float, down: float, found: list[Word]) -> None:
    moved = element.get("transform", "")
    if "rotate" in moved:
        return
    if match := re.match(r"translate\((\S+) (\S+)\)", moved):
        right, down = right + float(match[1]), down + float(match[2])
    if element.tag.endswith("}text"):
        text = element.text or ""
        width, x = width_of(text), right + float(element.attrib["x"])
        begins = x - {"middle": width / 2, "end": width}.get(element.get("text-anchor", ""), 0.0)
        found.append(Word(text, begins, begins + width, down + float(element.attrib["y"])))
    for each in element:
        _gather(each, right, down, found)
