"""Rows: names are drawn as they are, and have room."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from balancer.reporting.rows import boxes, remark, rows
from balancer.reporting.style import drawable, to_svg


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{$", "a_b", "<b>&\"'", "--><script>", "\u65e5\u672c", "\x00\ud800"])
def test_names_are_drawn_as_they_are(name: str) -> None:
    drawing, ax = rows([name], width_in=4.0, xlabel="x")
    remark(ax, 0.0, 0, name)
    svg = to_svg(drawing, "x")
    ElementTree.fromstring(svg)
    assert "script" not in svg
    assert len(re.findall("<use ", svg)) >= 2 * len(name.replace(" ", ""))  # a glyph for each letter, twice


def test_what_the_font_lacks_has_a_sign() -> None:
    assert drawable("two\nlines") == "two lines"
    assert drawable("gr\u00f6\u00dfer \u2192 \u65e5") == "gr\u00f6\u00dfer \u2192 \ufffd"


def test_many_boxes_are_one_shape() -> None:
    drawing, ax = rows(["a"], width_in=4.0, xlabel="x")
    ax.set_xlim(0, 100)
    empty = to_svg(drawing, "x").count("<path")
    boxes(ax, [(n, n + 0.5, -0.4, 0.4) for n in range(100)], "#56b4e9")
    svg = to_svg(drawing, "x")
    assert svg.count("<path") == empty + 1
    assert max(d.count("z") for d in re.findall(r' d="([^"]*)"', svg)) == 100


@pytest.mark.parametrize("number", [1, 32, 40])
def test_labels_do_not_overlap_however_many_rows(number: int) -> None:
    labels = [f"{n}  sandbox.example.org:8080" for n in range(number)]
    drawing, ax = rows(labels, width_in=8.0, xlabel="time (s)")
    drawing.draw_without_rendering()
    found = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(lower.y1 < upper.y0 for upper, lower in pairwise(found))
    assert all(box.x0 >= 0 for box in found)
    assert ax.get_window_extent().width > 300
