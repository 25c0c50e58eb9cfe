"""Line charts: every line has its look, its words and its interval, and nothing fails whatever is drawn."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.reporting.drawing import Drawing, Line, Markers, Strokes, to_svg
from balancer.reporting.lines import MOST_LINES, ChartLine, Kind, line_chart
from balancer.reporting.style import HALF, WIDE
from tests.svg import size_of, words_of

_LOADS = [0.1, 0.5, 0.9]


def _chart(*lines: ChartLine, width: float = WIDE, xscale: Kind = "linear", yscale: Kind = "linear") -> Drawing:
    return line_chart(lines, xlabel="load", ylabel="mean wait (s)", width=width, xscale=xscale, yscale=yscale)


def _named(number: int, name: str = "least_in_flight") -> list[ChartLine]:
    return [ChartLine(f"{name} {n}", _LOADS, [(n + 1) * load for load in _LOADS]) for n in range(number)]


def test_a_chart_has_its_labels_and_a_name_for_each_line() -> None:
    svg = to_svg(_chart(*_named(7)))
    assert {"load", *(line.name for line in _named(7))} <= {word.text for word in words_of(svg)}
    assert ">mean wait (s)</text>" in svg  # turned
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    assert to_svg(_chart(*_named(7))) == svg


def test_no_two_lines_look_alike_not_even_in_grey() -> None:
    drawing = _chart(*_named(MOST_LINES))
    assert MOST_LINES >= 7
    markers = [shape.marker for shape in drawing.shapes if isinstance(shape, Markers)]
    assert len({(marker.shape, marker.face == marker.edge) for marker in markers}) == MOST_LINES
    first = [shape for shape in drawing.shapes if isinstance(shape, Line)][:7]
    assert len({line.colour for line in first}) == len({line.dashes for line in first}) == 7


def test_more_lines_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=f"found {MOST_LINES + 1} lines; a chart shows at most {MOST_LINES}"):
        _chart(*_named(MOST_LINES + 1))


@pytest.mark.parametrize("width", [HALF, WIDE])
@pytest.mark.parametrize("name", ["fifo", "strategy with a very long name " * 3])
@pytest.mark.parametrize("number", [1, 7, MOST_LINES])
def test_the_legend_is_above_the_lines_and_on_the_paper(number: int, name: str, width: float) -> None:
    svg = to_svg(_chart(*_named(number, name), width=width))
    found = words_of(svg)
    legend, others = found[:number], found[number:]
    assert max(word.y for word in legend) < min(word.y for word in others)
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    if len(name) < 40:
        assert max(word.right for word in legend) <= size_of(svg)[0]


def test_intervals_are_strokes_in_the_colour_of_their_line_and_beside_each_other() -> None:
    low, high = [0.5, 1.5, 2.5], [1.5, 2.5, 9.5]
    unknown = ChartLine("d", _LOADS, [1, 2, 3], low=[math.nan] * 3, high=[math.nan] * 3)
    assert not re.findall('<path d="[^"]*" stroke="#[^"]*"/>', to_svg(_chart(unknown)))
    drawing = _chart(*(ChartLine(name, _LOADS, [1, 2, 3], low=low, high=high) for name in "abc"), *_named(1))
    strokes = [shape for shape in drawing.shapes if isinstance(shape, Strokes)]
    lines = [shape for shape in drawing.shapes if isinstance(shape, Line)]
    assert [each.colour for each in strokes] == [line.colour for line in lines][:3]  # the fourth has no interval
    assert {(*each.xs, *each.lows, *each.highs) for each in strokes} == {(*_LOADS, *low, *high)}
    assert sorted({each.aside for each in strokes}) == [each.aside for each in strokes]
    assert drawing.y.ends[1] > 9.5
    drawing.y.ends = (1.0, 2.0)  # what is outside is cut
    (path,) = re.findall(rf'<path d="([^"]*)" stroke="{lines[0].colour}"/>', to_svg(drawing))
    assert [float(end) for end in re.findall(r"V([\d.]+)", path)] == [drawing.height, drawing.height / 2]


def test_a_line_is_cut_at_the_ends_of_a_scale_and_interrupted_where_it_is_not_finite() -> None:
    drawing = _chart(ChartLine("a", [0, 1, 2, 3, 4, 5], [1, 1, math.nan, 0, 2, 9]))
    drawing.x.ends, drawing.y.ends = (0.0, 5.0), (0.0, 1.0)
    (path,) = re.findall(r'<path d="([^"]*)" fill="none"', to_svg(drawing))
    (width,) = {float(x) for x in re.findall(r"H?h([\d.]+)", to_svg(drawing)) if float(x) > 300}
    height = f"{drawing.height:g}"
    assert path == f"M0 0L{width / 5:.5g} 0M{width * 3 / 5:.5g} {height}L{width * 3.5 / 5:.5g} 0"


def test_many_points_have_few_markers() -> None:
    points = [float(n) for n in range(1000)]
    drawing = _chart(ChartLine("", points, [math.sin(x / 100) for x in points]))
    (markers,) = (shape for shape in drawing.shapes if isinstance(shape, Markers))
    assert 8 <= len(markers.xs) == len(markers.ys) <= 14


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
        ([1e-9, 1e9], ["1e-09", "1e-06", "0.001", "1", "1000", "1e+06", "1e+09"]),
        ([1.0, 40.0], ["1", "2", "5", "10", "20"]),
        ([20.0, 61.0], ["20", "30", "40", "50", "60"]),
    ],
)
def test_a_log_scale_has_marks_in_plain_numbers(values: list[float], marks: list[str]) -> None:
    assert [words for _, words in _chart(ChartLine("a", [1, 2], values), yscale="log").y.marks()] == marks


@pytest.mark.parametrize(("whole", "marks"), [(False, ["1", "1.2", "1.4", "1.6", "1.8", "2"]), (True, ["1", "2"])])
def test_between_whole_numbers_there_are_marks_unless_only_these_are_wanted(whole: bool, marks: list[str]) -> None:
    scale = _chart(*_named(1)).x
    scale.ends, scale.whole = (1.0, 2.0), whole
    assert [words for _, words in scale.marks()] == marks


@pytest.mark.parametrize(("ys", "from_0"), [([1.0, 9.0], True), ([8.0, 9.0], False), ([-1.0, 9.0], False)])
def test_a_linear_scale_begins_at_0_unless_lines_would_be_squeezed(ys: list[float], from_0: bool) -> None:
    low = _chart(ChartLine("a", [0, 1], ys)).y.ends[0]
    assert (-0.5 < low <= 0) == from_0
    assert low <= min(ys)


@pytest.mark.parametrize("xscale", ["linear", "log"])
def test_marks_of_scales_do_not_overlap(xscale: Kind) -> None:
    drawing = _chart(ChartLine("a", [0.0001, 123456.0], [0.001, 3]), width=HALF, xscale=xscale)
    found = words_of(to_svg(drawing))
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert len({words for _, words in drawing.x.marks()} & {word.text for word in found}) >= 2
    assert all(word.left >= 0 and word.right <= HALF for word in found)


_ODD = [math.nan, math.inf, 0.0, 1e-9, 5e-324, -5e-324, 2.2250738585072014e-308, 1e9, 999999999.9999999]
_VALUES = st.floats(-1e9, 1e9) | st.sampled_from(_ODD)
_SCALES = st.sampled_from(["linear", "log"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(_VALUES, _VALUES, _VALUES, _VALUES), max_size=4), max_size=3), _SCALES, _SCALES)
def test_whatever_is_drawn_is_svg_with_finite_numbers(
    lines: list[list[tuple[float, float, float, float]]], xscale: Kind, yscale: Kind
) -> None:
    drawn = [
        ChartLine(f"{n}", *([point[part] for point in points] for part in range(4))) for n, points in enumerate(lines)
    ]
    svg = to_svg(_chart(*drawn, xscale=xscale, yscale=yscale))
    ElementTree.fromstring(svg)
    assert not re.search(r"\bnan|\binf|e-\d\d.*\"", re.sub("<text.*", "", svg))
