"""Rows: names are drawn as they are, and have room."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from balancer.reporting.charts import (
    HALF,
    WIDE,
    beside,
    boxes,
    dots,
    inside,
    rows,
    share_bars,
    to_svg,
)
from tests.svg import size_of, words_of


@pytest.mark.parametrize("name", ["$x^2$", "a  b", "<b>&\"'", "--><script>", "\u65e5\u672c"])
def test_names_are_drawn_as_they_are(name):
    drawing = rows([name], width=HALF, xlabel="x")
    beside(drawing, 0, name)
    svg = to_svg(drawing)
    assert [word.text for word in words_of(svg)].count(name) == 2
    assert "<script" not in svg


def test_what_cannot_be_seen_has_a_sign_and_what_is_long_is_cut():
    svg = to_svg(rows(["two\nlines", "\x00\ud800", "x" * 1000], width=WIDE, xlabel=""))
    assert {"two lines", "\ufffd\ufffd"} <= {word.text for word in words_of(svg)}
    assert max(len(word.text) for word in words_of(svg)) == 80


def test_boxes_are_one_shape():
    drawing = rows(["a", "b"], width=HALF, xlabel="x", row=20.0)
    before = to_svg(drawing).count("<path")
    boxes(drawing, [(0, 50, -0.6, 0.5), (50, 100, 0.5, 1.6)], "#56b4e9")
    boxes(drawing, [], "#56b4e9")
    assert to_svg(drawing).count("<path") == before + 1


def test_a_dot_is_where_its_value_is_and_an_unknown_one_is_not_drawn():
    drawing = rows(["a", "b", "c"], width=HALF, xlabel="", row=20.0)
    drawing.axes.set_xlim(0, 2)
    before = to_svg(drawing).count("<use")
    dots(drawing, [1.0, math.nan, 2.0])
    svg = to_svg(drawing)
    assert svg.count("<use") == before + 2
    places = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', svg)[-2:]
    (x, y), (far, low) = ((float(across), float(down)) for across, down in places)
    assert float(low) - float(y) == pytest.approx(drawing.axes.bbox.height * 2 / 3.2, abs=0.1)
    assert far > x > far / 2


@pytest.mark.parametrize("number", [0, 1, 40])
def test_no_words_overlap_or_leave_the_drawing(number):
    drawing = rows([f"{n}  sandbox.example.org:8080" for n in range(number)], width=WIDE, xlabel="time (s)")
    for row in range(number):
        beside(drawing, row, "12345 of 12345")
        inside(drawing, row, "far")
    found, (width, height) = words_of(to_svg(drawing)), size_of(to_svg(drawing))
    assert len([word for word in found if word.text == "far"]) == number
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert all(word.left > -0.01 and word.right < width + 0.01 and 0 < word.y <= height for word in found)


def test_shares_are_beside_their_weights():
    shares = to_svg(share_bars(["a", "b"], [0.25, 0.75], [0.5, 0.5], xlabel="share"))
    assert {"share", "by weight", "share (%)"} <= {word.text for word in words_of(shares)}
    assert ElementTree.fromstring(shares).tag.endswith("}svg")
