"""The time left: unknown without a basis, near the truth on curves of every kind, and an interval that holds it."""

import random
import threading
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from balancer.reporting.progress import Left, ProgressDisplay, TimeLeft, left_words
from tests.patience import PATIENCE_S

_Curve = Callable[[float], float]  # seconds -> share of the work that is done, from 0 to 1


def told(curve: _Curve, *, lasts_s: float = 100.0, units: int = 1000) -> list[tuple[float, Left | None]]:
    """Return the true rest and the estimate at each tenth of the time."""
    time_left, found = TimeLeft(), []
    for second in range(1, int(lasts_s)):
        done = int(units * curve(second / lasts_s))
        time_left.look(second, done, units - done)
        if second % (lasts_s // 10) == 0:
            found.append((lasts_s - second, time_left.left))
    return found


def bursty(seed: int) -> _Curve:
    """Return a curve of twenty parts, some of which do ten times as much as others."""
    steps = [0.0]
    for each in random.Random(seed).choices((0.3, 1.0, 3.0), k=20):
        steps.append(steps[-1] + each)

    def curve(x: float) -> float:
        place = min(19, int(20 * x))
        return (steps[place] + (20 * x - place) * (steps[place + 1] - steps[place])) / steps[-1]

    return curve


def held(found: list[tuple[float, Left | None]]) -> int:
    return sum(left is not None and left.low_s - 1 <= truth_s <= left.high_s + 1 for truth_s, left in found)


def test_without_a_basis_nothing_is_claimed() -> None:
    time_left = TimeLeft()
    assert left_words(time_left.left) == "time left not known yet"
    time_left.look(4.9, 50, 50)  # too early: a start says little
    assert time_left.left is None
    time_left.look(60.0, 3, 997)  # too little
    assert time_left.left is None
    time_left.look(61.0, 0, 1000)
    assert left_words(time_left.left) == "time left not known yet"


def test_a_steady_pace_is_told_exactly_and_without_an_interval() -> None:
    for truth_s, left in told(lambda x: x):
        assert left is not None
        assert left.s == pytest.approx(truth_s, rel=0.02)
        assert left.high_s - left.low_s < 0.1 * truth_s + 1
    assert left_words(Left(70.0, 70.0, 70.0)) == "about 1 min 10 s left"


def test_a_pace_that_falls_once_is_told_from_what_came_since() -> None:
    """Of 286 units 15 a second for 6 s, then 4.5: after 25 s the rest takes 25 s."""
    time_left = TimeLeft()
    for second in range(1, 26):
        done = 15 * second if second <= 6 else 90 + 4.5 * (second - 6)
        time_left.look(second, done, 286 - done)
    assert time_left.left is not None
    assert time_left.left.s == pytest.approx(25, abs=1)
    assert time_left.left.low_s <= 25 <= time_left.left.high_s + 1


def test_a_pace_that_goes_on_falling_is_in_the_interval_or_no_figure_is_shown() -> None:
    """It is not known that it goes on, so an estimate is early, but not by more than twice from a third on."""
    for truth_s, left in told(lambda x: x**0.6)[3:]:
        assert left is not None
        assert truth_s / 2 < left.s <= truth_s * 1.05


def test_bursts_widen_the_interval_and_it_holds_the_truth() -> None:
    holding = [held(told(bursty(seed), lasts_s=200)[4:]) for seed in range(20)]
    assert sum(holding) >= 0.85 * 20 * 5, holding
    steady, uneven = told(lambda x: x)[5][1], told(bursty(3))[5][1]
    assert steady is not None
    assert uneven is not None
    assert uneven.high_s / uneven.low_s > steady.high_s / steady.low_s


def test_a_stall_makes_the_rest_longer_and_never_counts_down_to_nothing() -> None:
    found = told(lambda x: min(0.95, 2 * x) if x < 0.99 else 1.0)  # a search at the end that no unit counts
    late = [left for _, left in found[5:]]
    assert all(left is None or left.s > 2 for left in late)
    assert late[-1] is None or late[-1].s > (late[0].s if late[0] else 0)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (None, "time left not known yet"),
        (Left(0.0, 0.0, 0.0), "nearly done"),
        (Left(7.4, 7.2, 7.4), "about 7 s left"),
        (Left(63.0, 41.0, 96.0), "about 1 min 05 s left (40 s to 1 min 35 s)"),
        (Left(4000.0, 3000.0, 5000.0), "about 1 h 07 min left (50 min 00 s to 1 h 23 min)"),
        (Left(60.0, 10.0, 100.0), "at least 10 s left"),  # an interval that tells nothing
        (Left(3.0, 0.5, 100.0), "time left not known yet"),
        (Left(5.0, 0.5, 42.0), "up to 40 s left"),
    ],
)
def test_it_is_worded_no_finer_than_it_is_known(left: Left | None, words: str) -> None:
    assert left_words(left) == words


def test_work_of_a_new_kind_may_make_it_longer() -> None:
    assert left_words(Left(63.0, 41.0, 96.0), all_seen=False) == "at least 40 s left"
    assert left_words(Left(0.0, 0.0, 0.0), all_seen=False) == "time left not known yet"


# -- a heartbeat ------------------------------------------------------------------------------------


class _Told(StringIO):
    """Keeps what is written, and calls `heard` with it."""

    def __init__(self, heard: Callable[[str], object]) -> None:
        super().__init__()
        self._heard = heard

    def write(self, text: str) -> int:
        self._heard(text)
        return super().write(text)


def test_a_line_comes_by_itself_while_nothing_is_counted() -> None:
    came = threading.Event()
    now_s = [0.0]
    out = _Told(lambda text: came.set() if "15 s" in text else None)
    with ProgressDisplay(Console(file=out, width=200), title="predicting the next run", clock=lambda: now_s[0]):
        now_s[0] = 15.0
        assert came.wait(PATIENCE_S)
    assert out.getvalue() == "predicting the next run, 15 s\n"


def test_a_terminal_shows_what_is_being_done_below_the_bar() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=70, color_system=None)
    display = ProgressDisplay(console, unit="runs")
    with display:
        display.show(3, 10, title="1/4 problems", left="at least 10 s left", doing="searching inputs for spread " * 5)
    assert "1/4 problems" in out.getvalue()
    assert "searching inputs for spread" in out.getvalue()
    assert all(len(line) <= 70 + 20 for line in out.getvalue().splitlines())  # with codes that move the cursor
