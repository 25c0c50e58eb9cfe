"""Drawings: every line, row and field has its place, its look and its words, and nothing fails whatever is drawn."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from balancer.reporting import charts
from balancer.reporting.charts import FAINT, HALF, HEAT, MOST_LINES, STEPS, WIDE, ChartLine, Drawing, heat_map, to_svg
from tests.svg import size_of, words_of

_LOADS = [0.1, 0.5, 0.9]


def _chart(*lines: ChartLine, width: float = WIDE, xscale="linear", yscale="linear") -> Drawing:
    return charts.line_chart(lines, xlabel="load", ylabel="mean wait (s)", width=width, xscale=xscale, yscale=yscale)


def _named(number: int, name: str = "least_in_flight") -> list[ChartLine]:
    return [ChartLine(f"{name} {n}", _LOADS, [(n + 1) * load for load in _LOADS]) for n in range(number)]


def _map(values: list[list[float]], labels: int | None = None, ends: tuple[float, float] = (0, 120)) -> Drawing:
    names = [f"{n}  sandbox.example.org" for n in range(len(values) if labels is None else labels)]
    return heat_map(names, values, ends=ends, xlabel="time (s)", label="slots leased", nothing="idle")


def _overlapping(svg: str) -> list[object]:
    return [pair for pair in combinations(words_of(svg), 2) if pair[0].overlaps(pair[1])]


@pytest.mark.parametrize("width", [HALF, WIDE])
@pytest.mark.parametrize("name", ["fifo", "strategy with a very long name " * 3])
@pytest.mark.parametrize("number", [1, MOST_LINES])
def test_legend_is_above_the_lines_and_names_each(number, name, width):
    svg = to_svg(_chart(*_named(number, name), width=width))
    assert to_svg(_chart(*_named(number, name), width=width)) == svg
    assert ">mean wait (s)</text>" in svg  # turned
    legend = [word for word in words_of(svg) if word.text.startswith(name[:20])]
    others = [word for word in words_of(svg) if word not in legend]
    assert len(legend) == number
    assert "load" in {word.text for word in others}
    assert max(word.y for word in legend) < min(word.y for word in others)
    assert not _overlapping(svg)
    if len(name) < 40:
        assert max(word.right for word in legend) <= size_of(svg)[0]


def test_lines_differ_in_colour_dashes_and_markers():
    lines = _chart(*_named(MOST_LINES)).axes.lines
    looks = {(line.get_marker(), line.get_markerfacecolor() == line.get_markeredgecolor()) for line in lines}
    assert len(looks) == MOST_LINES >= 7
    assert len({line.get_color() for line in lines[:7]}) == 7
    assert len(set(re.findall("stroke-dasharray: [0-9.,]+", to_svg(_chart(*_named(7)))))) == 6  # the first has none
    points = [float(n) for n in range(1000)]
    svg = to_svg(_chart(ChartLine("", points, [math.sin(x / 100) for x in points])))
    assert 8 <= svg.count("<use ") - 1 <= 14  # one is in the legend


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: _chart(*_named(MOST_LINES + 1)), f"found {MOST_LINES + 1} lines; a chart shows at most {MOST_LINES}"),
        (lambda: ChartLine("a", [1.0, 1.0], [1.0]), "2 xs, 1 ys"),
        (lambda: ChartLine("a", [1.0], [1.0], [1.0], []), "1 low and 0 high"),
        (lambda: ChartLine("a", [1.0, 1.0], [1.0, 1.0], [1.0], [1.0]), "1 low and 1 high"),
        (lambda: _map([[1.0]], labels=2), "found 1 rows of values for 2 labels"),
        (lambda: _map([[1.0]], ends=(3, 3)), "a time from 3 to 3"),
    ],
)
def test_drawing_that_does_not_fit_is_refused(draw, said):
    with pytest.raises(ValueError, match=said):
        draw()


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


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0.001, 1000.0], ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]),
        ([1.0, 40.0], ["1", "2", "5", "10", "20"]),
        ([20.0, 61.0], ["20", "30", "40", "50", "60"]),
    ],
)
def test_log_scale_has_marks_in_plain_numbers(values, marks):
    axis = _chart(ChartLine("a", [1, 2], values), yscale="log").axes.yaxis
    low, high = axis.get_view_interval()
    assert (
        axis.get_major_formatter().format_ticks([at for at in axis.get_majorticklocs() if low <= at <= high]) == marks
    )


@pytest.mark.parametrize(("ys", "from_0"), [([1.0, 9.0], True), ([8.0, 9.0], False), ([-1.0, 9.0], False)])
def test_linear_scale_begins_at_0_unless_lines_would_be_squeezed(ys, from_0):
    low = _chart(ChartLine("a", [0, 1], ys)).axes.get_ylim()[0]
    assert (-0.5 < low <= 0) == from_0
    assert low <= min(ys)


_ODD = [math.nan, math.inf, 0.0, 1e-9, 5e-324, -5e-324, 2.2250738585072014e-308, 1e9, 999999999.9999999]
_VALUES = st.floats(-1e9, 1e9) | st.sampled_from(_ODD)
_SCALES = st.sampled_from(["linear", "log"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(_VALUES, _VALUES, _VALUES, _VALUES), max_size=4), max_size=3), _SCALES, _SCALES)
def test_drawing_is_svg_with_finite_numbers_whatever_is_drawn(lines, xscale, yscale):
    drawn = [
        ChartLine(f"{n}", *([point[part] for point in points] for part in range(4))) for n, points in enumerate(lines)
    ]
    svg = to_svg(_chart(*drawn, xscale=xscale, yscale=yscale))
    ElementTree.fromstring(svg)
    assert not re.search(r"\bnan\b|\binf\b", re.sub("<text.*?</text>", "", svg))


# -- rows and fields -----------------------------------------------------------------------------------


def test_names_are_drawn_as_they_are_or_with_a_sign_and_cut():
    names = ["$x^2$", "a  b", "<b>&\"'", "--><script>", "\u65e5\u672c"]
    svg = to_svg(charts.rows([*names, "two\nlines", "\x00\ud800", "x" * 1000], width=WIDE, xlabel="x"))
    texts = [word.text for word in words_of(svg)]
    assert {*names, "two lines", "\ufffd\ufffd"} <= set(texts)
    assert max(map(len, texts)) == 80
    assert "<script" not in svg


@pytest.mark.parametrize("number", [0, 12])
def test_words_of_rows_do_not_overlap_or_leave_the_drawing(number):
    drawing = charts.rows([f"{n}  sandbox.example.org:8080" for n in range(number)], width=WIDE, xlabel="time (s)")
    for row in range(number):
        charts.beside(drawing, row, "12345 of 12345")
        charts.inside(drawing, row, "far")
    svg = to_svg(drawing)
    found, (width, height) = words_of(svg), size_of(svg)
    assert len([word for word in found if word.text == "far"]) == number
    assert not _overlapping(svg)
    assert all(word.left > -0.01 and word.right < width + 0.01 and 0 < word.y <= height for word in found)


def _boxes(drawing: Drawing) -> dict[tuple[str, float], list[tuple[float, float, int]]]:
    """Return (colour, alpha) -> left, right and row of each rectangle."""
    found = {}
    for shape in drawing.axes.patches:
        corners = shape.get_path().vertices.reshape(-1, 5, 2)
        *_, alpha = shape.get_facecolor()
        found[to_hex(shape.get_facecolor()), alpha] = [
            (round(each[0][0]), round(each[2][0]), round((each[0][1] + each[1][1]) / 2)) for each in corners
        ]
    return found


def test_values_of_a_map_are_where_and_as_strong_as_they_should_be():
    boxes = _boxes(_map([[0.0, 0.0, 1.0, 1.0], [math.nan, 0.5, 0.45, 7.0]]))
    middle, strong = sorted(key for key in boxes if key[0] == HEAT)
    assert strong == (HEAT, 1.0)
    assert boxes[strong] == [(60, 120, 0), (90, 120, 1)]
    assert boxes[middle] == [(30, 90, 1)]  # neighbours of one step are one rectangle
    (nothing,) = (key for key in boxes if key[0] == to_hex(FAINT))
    assert boxes[nothing] == [(0, 60, 0)]
    for little in ([], [[]], [[math.nan]]):
        ElementTree.fromstring(to_svg(_map(little)))


def test_ramp_of_a_map_gets_stronger_with_every_step_and_the_legend_shows_all_of_it():
    drawing = _map([[0.0, *((step - 0.5) / STEPS for step in range(1, STEPS + 1))]])
    in_map = sorted(_boxes(drawing), key=lambda key: _boxes(drawing)[key])
    (_, ramp), (idle, grey) = drawing.legend
    assert [(to_hex(field.get_facecolor()), field.get_facecolor()[3]) for field in (*grey, *ramp)] == in_map
    alphas = [field.get_facecolor()[3] for field in ramp]
    assert alphas == sorted(set(alphas))
    assert (len(alphas), idle) == (STEPS, "idle")
    words = {word.text for word in words_of(to_svg(drawing))}
    assert {"slots leased, from 0 to 1", "idle", "time (s)", "0  sandbox.example.org"} <= words
