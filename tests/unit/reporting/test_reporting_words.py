"""How numbers and names are worded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.reporting.words import NOTHING, count, part_of, percent, ratio, seconds, shorten, size, visible

_ANY_TEXT = st.text(st.characters())  # halves of surrogate pairs as well


@given(_ANY_TEXT)
def test_visible_text_is_one_printable_line_of_the_same_length(text):
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wrong_answer/größer.py", "wrong_answer/größer.py"),
        ("two\nlines\t", "two lines "),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("exe\u202efdp.cpp", "exe\ufffdfdp.cpp"),
        ("caf\udce9", "caf\ufffd"),
    ],
)
def test_what_cannot_be_shown_is_replaced(text, shown):
    assert visible(text) == shown


@given(st.text(), st.integers(0, 50), st.sampled_from(["\u2026", "..."]))
def test_short_names_keep_both_ends(text, most, gap):
    short = shorten(text, most, gap=gap)
    assert len(short) <= most or short == text
    if len(text) <= most:
        assert short == text
    elif most >= len(gap) + 2:
        head, tail = short.split(gap)[0], short.split(gap)[-1]
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(short) == most


def test_the_middle_is_what_goes():
    assert shorten("http://sandbox-1.judge.example.org:8080/", 20) == "http://san\u2026org:8080/"


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 2))
def test_only_all_is_100_percent_and_only_none_is_0(part, whole, digits):
    part = min(part, whole)
    worded = percent(part, whole, digits=digits)
    assert (float(worded.strip("<>%")) == 100) == (part == whole)
    assert (worded in ("0%", "0.0%", "0.00%")) == (part == 0)
    if worded[0] not in "<>":
        assert abs(float(worded.rstrip("%")) - 100 * part / whole) <= 0.5 * 10**-digits + 1e-9


@pytest.mark.parametrize(
    ("part", "whole", "worded"), [(1, 3, "33%"), (999, 1000, ">99%"), (1, 1000, "<1%"), (0, 0, NOTHING)]
)
def test_percent(part, whole, worded):
    assert percent(part, whole) == worded


@pytest.mark.parametrize(
    ("value_s", "worded"),
    [
        (0, "0 s"),
        (0.00001, "<0.1 ms"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (math.nan, NOTHING),
        (math.inf, NOTHING),
    ],
)
def test_seconds(value_s, worded):
    assert seconds(value_s) == worded


@given(st.floats(0, 1e7))
def test_durations_are_never_in_scientific_notation(value_s):
    assert "e" not in seconds(value_s)


def test_nothing_is_said_of_nothing():
    assert ratio(1.0, 0.0) == NOTHING
    assert ratio(math.nan, 1.0) == NOTHING
    assert part_of(0, 0) == NOTHING


def test_numbers_agree_with_their_nouns():
    assert [count(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
    assert [size(n) for n in (999, 1500, 2_000_000)] == ["999 B", "1.5 kB", "2.0 MB"]
