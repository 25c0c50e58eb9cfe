"""Line charts: every line has its look, its words and its interval, and nothing fails whatever is drawn."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from balancer.reporting.charts import (
    HALF,
    MOST_LINES,
    WIDE,
    ChartLine,
    Drawing,
    Kind,
    line_chart,
    to_svg,
)
from tests.svg import size_of, words_of

_LOADS = [0.1, 0.5, 0.9]


def _chart(*lines: ChartLine, width: float = WIDE, xscale: Kind = "linear", yscale: Kind = "linear") -> Drawing:
    return line_chart(lines, xlabel="load", ylabel="mean wait (s)", width=width, xscale=xscale, yscale=yscale)


def _named(number: int, name: str = "least_in_flight") -> list[ChartLine]:
    return [ChartLine(f"{name} {n}", _LOADS, [(n + 1) * load for load in _LOADS]) for n in range(number)]


def test_a_chart_has_its_labels_and_a_name_for_each_line():
    svg = to_svg(_chart(*_named(7)))
    assert {"load", *(line.name for line in _named(7))} <= {word.text for word in words_of(svg)}
    assert ">mean wait (s)</text>" in svg  # turned
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    assert to_svg(_chart(*_named(7))) == svg


def _marks(drawing: Drawing, which: str) -> list[str]:
    """Return the words at the marks that are within the ends of a scale."""
    axis = drawing.axes.xaxis if which == "x" else drawing.axes.yaxis
    low, high = sorted(axis.get_view_interval())
    shown = [place for place in axis.get_majorticklocs() if low <= place <= high]
    return [*axis.get_major_formatter().format_ticks(shown)]


def test_no_two_lines_look_alike_not_even_in_grey():
    lines = _chart(*_named(MOST_LINES)).axes.lines
    assert MOST_LINES >= 7
    looks = {(line.get_marker(), line.get_markerfacecolor() == line.get_markeredgecolor()) for line in lines}
    assert len(looks) == MOST_LINES
    assert len({line.get_color() for line in lines[:7]}) == 7
    assert len(set(re.findall("stroke-dasharray: [0-9.,]+", to_svg(_chart(*_named(7)))))) == 6  # the first has none


def test_more_lines_than_can_be_told_apart_are_refused():
    with pytest.raises(ValueError, match=f"found {MOST_LINES + 1} lines; a chart shows at most {MOST_LINES}"):
        _chart(*_named(MOST_LINES + 1))


@pytest.mark.parametrize("width", [HALF, WIDE])
@pytest.mark.parametrize("name", ["fifo", "strategy with a very long name " * 3])
@pytest.mark.parametrize("number", [1, MOST_LINES])
def test_the_legend_is_above_the_lines_and_on_the_paper(number, name, width):
    svg = to_svg(_chart(*_named(number, name), width=width))
    found = words_of(svg)
    legend = [word for word in found if word.text.startswith(name[:20])]
    others = [word for word in found if word not in legend]
    assert len(legend) == number
    assert max(word.y for word in legend) < min(word.y for word in others)
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    if len(name) < 40:
        assert max(word.right for word in legend) <= size_of(svg)[0]


def test_intervals_are_strokes_in_the_colour_of_their_line_and_beside_each_other():
    low, high = [0.5, 1.5, 2.5], [1.5, 2.5, 9.5]
    drawing = _chart(*(ChartLine(name, _LOADS, [1, 2, 3], low=low, high=high) for name in "abc"), *_named(1))
    strokes = drawing.axes.collections  # the fourth has no interval
    assert [to_hex(each.get_color()[0]) for each in strokes] == [line.get_color() for line in drawing.axes.lines[:3]]
    for each in strokes:
        assert [path.vertices.tolist() for path in each.get_paths()] == [
            [[x, least], [x, most]] for x, least, most in zip(_LOADS, low, high, strict=True)
        ]
    asides = [each.get_transform().transform((0.5, 1))[0] for each in strokes]
    assert asides == sorted(set(asides))
    assert drawing.axes.get_ylim()[1] > 9.5


def test_many_points_have_few_markers():
    points = [float(n) for n in range(1000)]
    svg = to_svg(_chart(ChartLine("", points, [math.sin(x / 100) for x in points])))
    assert 8 <= svg.count("<use ") - 1 <= 14  # one is in the legend


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((2, 1, 0, 0), "2 xs, 1 ys"), ((2, 2, 2, 0), "2 low and 0 high"), ((2, 2, 1, 1), "1 low and 1 high")],
)
def test_a_line_that_does_not_fit_itself_is_refused(sizes, said):
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
def test_a_log_scale_has_marks_in_plain_numbers(values, marks):
    assert _marks(_chart(ChartLine("a", [1, 2], values), yscale="log"), "y") == marks


@pytest.mark.parametrize(("ys", "from_0"), [([1.0, 9.0], True), ([8.0, 9.0], False), ([-1.0, 9.0], False)])
def test_a_linear_scale_begins_at_0_unless_lines_would_be_squeezed(ys, from_0):
    low = _chart(ChartLine("a", [0, 1], ys)).axes.get_ylim()[0]
    assert (-0.5 < low <= 0) == from_0
    assert low <= min(ys)


@pytest.mark.parametrize("xscale", ["linear", "log"])
def test_marks_of_scales_do_not_overlap(xscale):
    drawing = _chart(ChartLine("a", [0.0001, 123456.0], [0.001, 3]), width=HALF, xscale=xscale)
    found = words_of(to_svg(drawing))
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert len({*_marks(drawing, "x")} & {word.text for word in found}) >= 2
    assert all(word.left >= 0 and word.right <= HALF for word in found)


_ODD = [math.nan, math.inf, 0.0, 1e-9, 5e-324, -5e-324, 2.2250738585072014e-308, 1e9, 999999999.9999999]
_VALUES = st.floats(-1e9, 1e9) | st.sampled_from(_ODD)
_SCALES = st.sampled_from(["linear", "log"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(_VALUES, _VALUES, _VALUES, _VALUES), max_size=4), max_size=3), _SCALES, _SCALES)
def test_whatever_is_drawn_is_svg_with_finite_numbers(lines, xscale, yscale):
    drawn = [
        ChartLine(f"{n}", *([point[part] for point in points] for part in range(4))) for n, points in enumerate(lines)
    ]
    svg = to_svg(_chart(*drawn, xscale=xscale, yscale=yscale))
    ElementTree.fromstring(svg)
    assert not re.search(r"\bnan\b|\binf\b", re.sub("<text.*?</text>", "", svg))
