"""Line charts: every line has its look, its words and its interval, and nothing warns whatever is drawn."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy import asarray

from balancer.reporting.lines import MOST_LINES, ChartLine, Scale, line_chart
from balancer.reporting.style import HALF_IN, WIDE_IN, to_svg

_LOADS = [0.1, 0.5, 0.9]


def _chart(
    *lines: ChartLine, width_in: float = WIDE_IN, xscale: Scale = "linear", yscale: Scale = "linear"
) -> tuple[Figure, Axes]:
    return line_chart(lines, xlabel="load", ylabel="mean wait (s)", width_in=width_in, xscale=xscale, yscale=yscale)


def _named(number: int, name: str = "least_in_flight") -> list[ChartLine]:
    return [ChartLine(f"{name} {n}", _LOADS, [(n + 1) * load for load in _LOADS]) for n in range(number)]


def _words(drawing: Figure) -> set[str]:
    return {text.get_text() for text in drawing.findobj(Text)}


def test_a_chart_has_its_labels_and_a_name_for_each_line() -> None:
    drawing, _ = _chart(*_named(7))
    assert {"load", "mean wait (s)", *(line.name for line in _named(7))} <= _words(drawing)
    svg = to_svg(drawing, "waits")
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    # Text is drawn as a glyph for each letter, blanks too: at least those of the names and labels are there.
    assert svg.count("<use ") >= sum(len(line.name) for line in _named(7)) + len("load") + len("mean wait (s)")
    assert "var(--ink)" in svg
    assert not re.search("#0[0-9a-f]0[0-9a-f]0[0-9a-f]\\b", svg)


def test_the_same_lines_give_the_same_bytes() -> None:
    assert to_svg(_chart(*_named(9))[0], "x") == to_svg(_chart(*_named(9))[0], "x")


def test_no_two_lines_look_alike_not_even_in_grey() -> None:
    _, ax = _chart(*_named(MOST_LINES))
    assert MOST_LINES >= 7
    in_grey = [(line.get_marker(), line.get_markerfacecolor() == line.get_color()) for line in ax.lines]
    assert len(set(in_grey)) == MOST_LINES
    first = ax.lines[:7]
    assert len({line.get_color() for line in first}) == 7
    # A line's dashes as drawn; Line2D has no public getter for them.
    assert len({str(line._unscaled_dash_pattern) for line in first}) == 7  # type: ignore[attr-defined]


def test_more_lines_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=f"found {MOST_LINES + 1} lines; a chart shows at most {MOST_LINES}"):
        _chart(*_named(MOST_LINES + 1))


@pytest.mark.parametrize("width_in", [HALF_IN, WIDE_IN])
@pytest.mark.parametrize("name", ["fifo", "power_of_two_choices", "strategy with a very long name " * 3])
@pytest.mark.parametrize("number", [1, 7, MOST_LINES])
def test_the_legend_is_above_the_lines_and_on_the_paper(number: int, name: str, width_in: float) -> None:
    drawing, ax = _chart(*_named(number, name), width_in=width_in)
    drawing.draw_without_rendering()
    box, plot = drawing.legends[0].get_window_extent(), ax.get_window_extent()
    assert box.y0 >= plot.y1
    assert box.y1 <= drawing.bbox.y1 + 1
    assert plot.height > 72 * 1.8  # of 2.8 in with its scale
    if len(name) < 40:
        assert box.x1 <= drawing.bbox.x1 + 1


@pytest.mark.parametrize("name", ["_hidden", "$x^2$", "$\\frac{$", "<b>&", "\u65e5\u672c", "\x00\ud800"])
def test_names_are_drawn_as_they_are(name: str) -> None:
    drawing, _ = _chart(ChartLine(name, _LOADS, _LOADS))
    ElementTree.fromstring(to_svg(drawing, "x"))
    (text,) = drawing.legends[0].get_texts()
    assert len(text.get_text()) == len(name)
    assert not text.get_parse_math()


def test_intervals_are_strokes_in_the_colour_of_their_line_and_beside_each_other() -> None:
    low, high = [0.5, 1.5, 2.5], [1.5, 2.5, 9.5]
    drawing, ax = _chart(*(ChartLine(name, _LOADS, [1, 2, 3], low=low, high=high) for name in "abc"), *_named(1))
    drawing.draw_without_rendering()
    assert len(ax.collections) == 3  # the fourth has no interval
    places = []
    for strokes, line in zip(ax.collections, ax.lines, strict=False):
        assert isinstance(strokes, LineCollection)
        assert [path.tolist() for path in strokes.get_segments()] == [
            [[x, bottom], [x, top]] for x, bottom, top in zip(_LOADS, low, high, strict=True)
        ]
        assert to_hex(asarray(strokes.get_color())[0]) == line.get_color()
        places.append(strokes.get_transform().transform((0.5, 1.0))[0])
    assert all(right - left >= 1.5 for left, right in pairwise(places))
    assert ax.get_ylim()[1] > 9.5


def test_many_points_have_few_markers() -> None:
    points = [float(n) for n in range(1000)]
    svg = to_svg(_chart(ChartLine("", points, [math.sin(x / 100) for x in points]))[0], "x")
    ElementTree.fromstring(svg)
    (marker,) = set(re.findall(r'<use xlink:href="#(x\d+)"[^>]*style="[^"]*stroke: #0072b2', svg))
    assert 8 <= svg.count(f'"#{marker}"') <= 14


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((2, 1, 0, 0), "2 xs, 1 ys"), ((2, 2, 2, 0), "2 low and 0 high"), ((2, 2, 1, 1), "1 low and 1 high")],
)
def test_a_line_that_does_not_fit_itself_is_refused(sizes: tuple[int, int, int, int], said: str) -> None:
    xs, ys, low, high = ([1.0] * size for size in sizes)
    with pytest.raises(ValueError, match=said):
        ChartLine("a", xs, ys, low, high)


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0.001, 1000.0], ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]),
        ([1.0, 40.0], ["1", "2", "5", "10", "20"]),
        ([20.0, 61.0], ["20", "30", "40", "50", "60"]),
    ],
)
def test_a_log_scale_has_marks_in_plain_numbers(values: list[float], marks: list[str]) -> None:
    drawing, ax = _chart(ChartLine("a", [1, 2], values), yscale="log")
    drawing.draw_without_rendering()
    low, high = ax.get_ylim()
    shown = [
        label.get_text() for label, at in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True) if low <= at <= high
    ]
    assert shown == marks


@pytest.mark.parametrize(("ys", "from_0"), [([1.0, 9.0], True), ([8.0, 9.0], False), ([-1.0, 9.0], False)])
def test_a_linear_scale_begins_at_0_unless_lines_would_be_squeezed(ys: list[float], from_0: bool) -> None:
    low = _chart(ChartLine("a", [0, 1], ys))[1].get_ylim()[0]
    assert (-0.5 < low <= 0) == from_0
    assert low <= min(ys)


def test_labels_of_scales_do_not_overlap() -> None:
    for xscale in ("linear", "log"):
        drawing, ax = _chart(ChartLine("a", [0.0001, 123456.0], [0.001, 3]), width_in=HALF_IN, xscale=xscale)
        drawing.draw_without_rendering()
        low, high = ax.get_xlim()
        shown = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        found = [label.get_window_extent() for at, label in shown if low <= at <= high]
        assert len(found) >= 2
        assert all(left.x1 < right.x0 for left, right in pairwise(found))


_ODD = [math.nan, math.inf, 0.0, 1e-9, 5e-324, -5e-324, 2.2250738585072014e-308, 1e9, 999999999.9999999]
_VALUES = st.floats(-1e9, 1e9) | st.sampled_from(_ODD)
_SCALES = st.sampled_from(["linear", "log"])


@pytest.mark.more
@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(_VALUES, _VALUES, _VALUES, _VALUES), max_size=4), max_size=3), _SCALES, _SCALES)
def test_nothing_warns_whatever_is_drawn(
    lines: list[list[tuple[float, float, float, float]]], xscale: Scale, yscale: Scale
) -> None:
    """Warnings are errors here."""
    drawn = [
        ChartLine(f"{n}", *([point[part] for point in points] for part in range(4))) for n, points in enumerate(lines)
    ]
    ElementTree.fromstring(to_svg(_chart(*drawn, xscale=xscale, yscale=yscale)[0], "x"))
