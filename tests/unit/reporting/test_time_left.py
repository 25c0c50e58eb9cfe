"""The time left: unknown while too little is done, else that of the units left at the pace of those that are done."""

import threading
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from balancer.reporting.progress import ProgressDisplay, left_words, time_left_s
from tests.patience import PATIENCE_S


@pytest.mark.parametrize(
    ("spent_s", "done", "left", "left_s"),
    [
        (60.0, 0, 1000, None),
        (60.0, 0, 0, None),
        (4.9, 50, 50, None),  # a start says little
        (60.0, 1, 999, None),
        (60.0, 20, 10, 30.0),
        (120.0, 20, 10, 60.0),  # a stall makes it longer
        (60.0, 20, 0, 0.0),
    ],
)
def test_the_rest_takes_as_long_as_what_is_done(spent_s, done, left, left_s):
    assert time_left_s(spent_s, done, left) == left_s


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (None, "time left not known yet"),
        (0.0, "nearly done"),
        (7.4, "about 7 s left"),
        (63.0, "about 1 min 05 s left"),
        (200.0, "about 3 min 20 s left"),
        (4000.0, "about 1 h 07 min left"),
    ],
)
def test_it_is_worded_no_finer_than_it_is_known(left_s, words):
    assert left_words(left_s) == words


# -- a heartbeat ------------------------------------------------------------------------------------


class _Told(StringIO):
    """Keeps what is written, and calls `heard` with it."""

    def __init__(self, heard: Callable[[str], object]) -> None:
        super().__init__()
        self._heard = heard

    def write(self, text: str) -> int:
        self._heard(text)
        return super().write(text)


def test_a_line_comes_by_itself_while_nothing_is_counted():
    came = threading.Event()
    now_s = [0.0]
    out = _Told(lambda text: came.set() if "15 s" in text else None)
    with ProgressDisplay(Console(file=out, width=200), title="predicting the next run", clock=lambda: now_s[0]):
        now_s[0] = 15.0
        assert came.wait(PATIENCE_S)
    assert out.getvalue() == "predicting the next run, 15 s\n"


def test_a_terminal_shows_what_is_being_done_below_the_bar():
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=70, color_system=None)
    display = ProgressDisplay(console, unit="runs")
    with display:
        display.show(3, 10, title="1/4 problems", left="about 10 s left", doing="searching inputs for spread " * 5)
    assert "1/4 problems" in out.getvalue()
    assert "searching inputs for spread" in out.getvalue()
    assert all(len(line) <= 70 + 20 for line in out.getvalue().splitlines())  # with codes that move the cursor
