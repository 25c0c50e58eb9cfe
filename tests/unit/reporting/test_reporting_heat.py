"""Heat maps: each value in its place and step, and a bar that says what a colour means."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from numpy import asarray

from balancer.reporting.rows import STEPS, heat_map
from balancer.reporting.style import FAINT, HALF_IN, HEAT, WIDE_IN, to_svg


def _map(values: list[list[float]], *, width_in: float = WIDE_IN) -> tuple[Figure, Axes]:
    labels = [f"{n}  sandbox.example.org" for n in range(len(values))]
    return heat_map(labels, values, ends=(0, 120), xlabel="time (s)", label="part of slots leased", width_in=width_in)


def _boxes(ax: Axes) -> dict[tuple[str, float], list[tuple[float, float, int]]]:
    """Return (colour, alpha) -> left, right and row of each rectangle."""
    found = {}
    for patch in ax.patches:
        assert isinstance(patch, PathPatch)
        corners = asarray(patch.get_path().vertices).reshape(-1, 5, 2)
        found[to_hex(patch.get_facecolor()), float(patch.get_alpha() or 0)] = [
            (float(box[0][0]), float(box[2][0]), round(float(box[0][1] + box[2][1]) / 2)) for box in corners
        ]
    return found


def test_values_are_where_and_as_strong_as_they_should_be() -> None:
    _, ax = _map([[0.0, 0.0, 1.0, 1.0], [math.nan, 0.5, 0.45, 7.0]])
    boxes = _boxes(ax)
    strong, middle = max(boxes), sorted(key for key in boxes if key[0] == HEAT)[0]
    assert strong == (HEAT, 1.0)
    assert boxes[strong] == [(60, 120, 0), (90, 120, 1)]
    assert boxes[middle] == [(30, 90, 1)]  # neighbours of one step are one rectangle
    (nothing,) = (key for key in boxes if key[0] == FAINT)
    assert boxes[nothing] == [(0, 60, 0)]


def test_the_ramp_gets_stronger_with_every_step_and_the_bar_shows_all_of_it() -> None:
    drawing, ax = _map([[(step - 0.5) / STEPS for step in range(1, STEPS + 1)]])
    bar = next(each for each in drawing.axes if each is not ax)
    in_map = {boxes[0][0] / 120: key[1] for key, boxes in _boxes(ax).items()}
    in_bar = {boxes[0][0]: key[1] for key, boxes in _boxes(bar).items() if key[0] == HEAT}
    alphas = [in_bar[left] for left in sorted(in_bar)]
    assert alphas == sorted(set(alphas))
    assert len(alphas) == STEPS
    assert [in_map[left] for left in sorted(in_map)] == alphas
    assert sorted(in_map) == pytest.approx(sorted(in_bar))


def test_the_bar_says_what_grey_means() -> None:
    drawing, ax = heat_map(["a"], [[0.0, 1.0]], ends=(0, 1), xlabel="", label="", width_in=WIDE_IN, nothing="idle")
    bar = next(each for each in drawing.axes if each is not ax)
    (grey,) = (key for key in _boxes(bar) if key[0] == FAINT)
    ((left, right, _),) = _boxes(bar)[grey]
    assert grey in _boxes(ax)
    assert right < 0
    assert (bar.get_xticklabels()[0].get_text(), bar.get_xticks()[0]) == ("idle", pytest.approx((left + right) / 2))


@pytest.mark.parametrize("width_in", [HALF_IN, WIDE_IN])
@pytest.mark.parametrize("rows", [1, 8, 40])
def test_all_is_named_and_nothing_overlaps(rows: int, width_in: float) -> None:
    drawing, ax = _map([[0.5] * 10] * rows, width_in=width_in)
    assert {"time (s)", "part of slots leased", "0  sandbox.example.org"} <= {
        t.get_text() for t in drawing.findobj(Text)
    }
    drawing.draw_without_rendering()
    bar = next(each for each in drawing.axes if each is not ax)
    assert bar.get_window_extent().y0 > ax.get_window_extent().y1
    marks = [label.get_window_extent() for label in bar.get_xticklabels()]
    assert all(left.x1 + 4 < right.x0 for left, right in pairwise(marks))
    (label,) = bar.texts
    assert label.get_window_extent().x1 <= drawing.bbox.x1
    assert marks[-1].y1 <= drawing.bbox.y1 + 1
    names = [name.get_window_extent() for name in ax.get_yticklabels()]
    assert all(lower.y1 < upper.y0 for upper, lower in pairwise(names))


def test_a_map_is_an_svg_element_in_the_page_colours() -> None:
    svg = to_svg(_map([[n / 90 for n in range(90)]] * 30)[0], "heat")
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    assert "var(--heat)" in svg
    assert not re.search("#0[0-9a-f]0[0-9a-f]0[0-9a-f]\\b", svg)
    assert "<image" not in svg


@pytest.mark.parametrize("values", [[], [[]], [[math.nan]], [[0.0]]], ids=str)
def test_little_is_drawn_too(values: list[list[float]]) -> None:
    ElementTree.fromstring(to_svg(_map(values)[0], "x"))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="found 1 rows of values for 2 labels"):
        heat_map(["a", "b"], [[1.0]], ends=(0, 1), xlabel="", label="", width_in=4)
    with pytest.raises(ValueError, match=r"a time from 3 to 3"):
        heat_map(["a"], [[1.0]], ends=(3, 3), xlabel="", label="", width_in=4)
