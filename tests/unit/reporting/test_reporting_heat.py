"""Heat maps: each value in its place and step, and a legend that says what a colour means."""

import math
import re
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_hex

from balancer.reporting.charts import FAINT, HEAT, STEPS, Drawing, heat_map, to_svg
from tests.svg import words_of


def _map(values: list[list[float]]) -> Drawing:
    labels = [f"{n}  sandbox.example.org" for n in range(len(values))]
    return heat_map(labels, values, ends=(0, 120), xlabel="time (s)", label="slots leased", nothing="idle")


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


def test_values_are_where_and_as_strong_as_they_should_be():
    boxes = _boxes(_map([[0.0, 0.0, 1.0, 1.0], [math.nan, 0.5, 0.45, 7.0]]))
    middle, strong = sorted(key for key in boxes if key[0] == HEAT)
    assert strong == (HEAT, 1.0)
    assert boxes[strong] == [(60, 120, 0), (90, 120, 1)]
    assert boxes[middle] == [(30, 90, 1)]  # neighbours of one step are one rectangle
    (nothing,) = (key for key in boxes if key[0] == FAINT)
    assert boxes[nothing] == [(0, 60, 0)]


def test_the_ramp_gets_stronger_with_every_step_and_the_legend_shows_all_of_it():
    drawing = _map([[0.0, *((step - 0.5) / STEPS for step in range(1, STEPS + 1))]])
    in_map = sorted(_boxes(drawing), key=lambda key: _boxes(drawing)[key])
    (_, ramp), (idle, grey) = drawing.legend
    assert [(to_hex(field.get_facecolor()), field.get_facecolor()[3]) for field in (*grey, *ramp)] == in_map
    alphas = [field.get_facecolor()[3] for field in ramp]
    assert alphas == sorted(set(alphas))
    assert len(alphas) == STEPS
    assert idle == "idle"
    assert {"slots leased, from 0 to 1", "idle", "time (s)", "0  sandbox.example.org"} <= {
        word.text for word in words_of(to_svg(drawing))
    }


def test_a_map_is_an_svg_element_in_the_page_colours():
    svg = to_svg(_map([[n / 90 for n in range(90)]] * 30))
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    assert set(re.findall('fill: ([^;"]*)', svg)) == {"none", "var(--ink)", "var(--heat)", "var(--faint)"}


@pytest.mark.parametrize("values", [[], [[]], [[math.nan]], [[0.0]]], ids=str)
def test_little_is_drawn_too(values):
    ElementTree.fromstring(to_svg(_map(values)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="found 1 rows of values for 2 labels"):
        heat_map(["a", "b"], [[1.0]], ends=(0, 1), xlabel="", label="")
    with pytest.raises(ValueError, match=r"a time from 3 to 3"):
        heat_map(["a"], [[1.0]], ends=(3, 3), xlabel="", label="")
