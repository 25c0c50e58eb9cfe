"""Figures are written in one unit, with the digits that their interval bears out."""

import math
import re

import pytest
from balancer_simulator.studies.figures import worded, worded_difference
from balancer_simulator.studies.intervals import Interval
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("mean", "half", "unit", "words"),
    [
        (1.2345, 0.0567, "s", "1.23 s \u00b10.06"),
        (0.00931, 0.01137, "s", "9 ms \u00b111"),
        (0.9, 1.5, "s", "0.9 s \u00b11.5"),
        (36_000.0, 360.0, "s", "10.0 h \u00b10.1"),
        (3e-16, 1e-16, "s", "0 s \u00b10"),
        (0.1234, 0.0012, "part", "12.3% \u00b10.1"),
        (0.75, 0.0002, "part", "75.0% \u00b1<0.1"),
        (12_345.6, 78.9, "count", "12\u2009346 \u00b179"),
        (0.0, 0.3, "count", "0.00 \u00b10.30"),
        (0.000026, 0.0000025, "number", "0.0000260 \u00b10.0000025"),
        (4e-8, 1e-8, "part", "0.0000040% \u00b10.0000010"),
        (0.1, 0.0, "number", "0.100 \u00b10"),
    ],
)
def test_a_figure_has_no_more_digits_than_its_interval(mean, half, unit, words):
    assert worded(Interval(mean, half, 5), unit) == words


@pytest.mark.parametrize(
    ("mean", "half", "base", "words"),
    [
        (-0.5, 0.05, 2.0, "-500 ms \u00b150 (-25%)"),
        (0.0373, 0.002, 0.621, "+37.3 ms \u00b12.0 (+6.0%)"),
        (0.00064, 0.012814, 0.3, "+1 ms \u00b113 (0%)"),
        (0.0002, 0.012814, 0.3, "0 ms \u00b113 (0%)"),
        (579.0, 20.0, 0.73, "+579 s \u00b120 (\u00d7 794)"),
        (6.99, 0.3, 0.7, "+6.99 s \u00b10.30 (+999%)"),
        (7.0, 0.3, 0.7, "+7.00 s \u00b10.30 (\u00d7 11)"),
        (0.0, 0.0, 2.0, "0 s \u00b10"),
        (1.0, 0.2, 0.0, "+1.00 s \u00b10.20"),
    ],
)
def test_a_difference_is_a_part_or_a_multiple_of_its_base(mean, half, base, words):
    assert worded_difference(Interval(mean, half, 5), base, "s") == words


@given(st.floats(-1e7, 1e7), st.floats(0, 1e7), st.sampled_from(["s", "part", "number", "count"]))
@example(0.0, 5e-324, "number")
def test_a_figure_and_its_interval_have_the_same_decimals(mean, half, unit):
    found = re.fullmatch(
        r"-?([\d\u2009]+)(\.\d+)?( ms| s| h|%)? \u00b1<?([\d\u2009]+)(\.\d+)?",
        worded(Interval(mean, half, 5), unit),
    )
    assert found
    if found[4] + (found[5] or "") != "0":
        assert len(found[2] or "") == len(found[5] or "")


def test_what_cannot_be_below_nothing_is_not():
    wait = Interval(0.35, 1.0, 3, 0.0)
    assert (wait.low, wait.high) == (0.0, 1.35)
    assert worded(wait, "s") == "0.3 s (0 to 1.4)"
    assert str(wait) == "0.3 (0 to 1.4)"
    assert Interval(0.35, 1.0, 3).low == pytest.approx(-0.65)  # a difference may be
    assert worded(Interval(2.0, 1.0, 3, 0.0), "s") == "2.0 s \u00b11.0"


def test_an_interval_prints_in_words_and_a_refused_mean_does_not_print():
    assert str(Interval(2.1123, 0.9876, 3)) == "2.11 \u00b1 0.99"
    assert str(Interval(6.95, math.nan, 1)) == "6.95 (one replication)"
    refused = Interval(6.95, math.inf, 3)
    assert str(refused) == "too short to tell"
    assert "6.95" not in repr([refused])
    assert repr(Interval(2.0, 1.0, 3)) == "Interval(mean=2.0, low=1.0, high=3.0, count=3)"
