"""The time left: unknown without a basis, near the truth soon, never in jumps."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.reporting.progress import TimeLeft

# What an estimate may grow or shrink by between two looks, beside the seconds that have passed and the second that is
# the least it counts with.
_MOST = 2.0


def test_without_a_basis_nothing_is_claimed() -> None:
    left = TimeLeft()
    assert left.words() == "time left not known yet"
    left.look(4.9, 50, 50)  # too early: a start says little
    left.look(60.0, 1, 999)  # too little
    assert left.estimate_s is None
    left.look(60.0, 49, 951)
    assert left.words() == "time left not known yet"
    left.look(61.0, 50, 950)
    assert left.words() == "about 19 min 00 s left"


def test_few_units_that_take_long_are_a_basis_too() -> None:
    left = TimeLeft()
    left.look(60.0, 2, 8)
    assert left.words() == "about 4 min 00 s left"
    assert left.words(all_seen=False) == "at least 4 min 00 s left"


@pytest.mark.parametrize(("estimate_s", "words"), [(7.4, "7 s"), (63.0, "1 min 05 s"), (4000, "1 h 07")])
def test_it_is_worded_no_finer_than_it_is_known(estimate_s: float, words: str) -> None:
    assert TimeLeft(estimate_s).words().startswith(f"about {words}")


def test_work_at_an_even_pace_is_told_exactly() -> None:
    left = TimeLeft()
    for second in range(1, 101):
        left.look(float(second), second, 100 - second)
        assert (left.estimate_s is None) == (second < 5)  # and 5 of 100 are done then
        assert left.estimate_s is None or left.estimate_s == pytest.approx(100 - second, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0.01, 30.0), st.integers(0, 50), st.integers(1, 10**6)), min_size=2, max_size=60))
def test_it_never_jumps(looks: list[tuple[float, int, int]]) -> None:
    """Whatever is found: from one look to the next it at most doubles or halves, beside the time that passed."""
    left, spent_s, done = TimeLeft(), 0.0, 0
    told: list[tuple[float, float]] = []
    for passed_s, more, ahead in looks:
        spent_s, done = spent_s + passed_s, done + more
        left.look(spent_s, done, ahead)
        if left.estimate_s is not None:
            told.append((spent_s, left.estimate_s))
    for (then_s, before_s), (now_s, after_s) in pairwise(told):
        expected_s = max(1.0, before_s - (now_s - then_s))
        assert expected_s / _MOST <= after_s * 1.000001
        assert after_s <= expected_s * _MOST * 1.000001


def test_it_comes_to_the_truth_when_the_pace_changes() -> None:
    """Ten times slower from the middle on: within a minute it is within a third of what the mean says."""
    left, spent_s = TimeLeft(), 0.0
    for done in range(1, 61):
        spent_s += 1.0
        left.look(spent_s, done, 600 - done)
    for done in range(61, 67):
        spent_s += 10.0
        left.look(spent_s, done, 600 - done)
    assert left.estimate_s == pytest.approx(spent_s / 66 * (600 - 66), rel=0.34)


def test_nothing_left_is_no_time() -> None:
    left = TimeLeft(500.0)
    left.look(10.0, 5, 0)
    assert (left.estimate_s, left.words()) == (0.0, "nearly done")
