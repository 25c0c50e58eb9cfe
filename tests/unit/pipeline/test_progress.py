"""How progress is counted, and what it looks like where there is no terminal."""

import re
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from balancer.pipeline.progress import Progress


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(problems: int | None = 2, *, terminal: bool = False, **how: Any) -> tuple[Progress, Clock, StringIO]:
    out, clock = StringIO(), Clock()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    return Progress(console, problems, clock=clock, **how), clock, out


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    progress, clock, out = make()
    with progress:
        progress.plan("p", 10)
        progress.plan("q", 30)
        for _ in range(9):
            progress.advance("p")
        assert out.getvalue() == "", "nothing within the first ten seconds"
        clock.now_s += 10
        progress.advance("p")
        assert out.getvalue() == "0/2 problems, 10/40 runs, 10 s, at least 30 s left\n"
        clock.now_s += 9.5
        progress.advance("q")
        clock.now_s += 0.5
        progress.finish("p")
    assert out.getvalue().splitlines()[1:] == ["1/2 problems, 11/40 runs, 20 s, about 30 s left"]


def test_a_plan_may_be_corrected() -> None:
    progress, clock, out = make()
    progress.plan("p", 100)
    progress.advance("p")
    progress.plan("p", 1)
    clock.now_s += 10
    progress.advance("p")
    progress.advance("p")
    clock.now_s += 10
    progress.finish("p")
    assert out.getvalue().splitlines() == [
        "0/2 problems, 2/2 runs, 10 s, nearly done",
        "1/2 problems, 3/3 runs, 20 s, nearly done",
    ], "more was done than was planned, and the total is never below what is done"


def test_before_anything_is_done_no_time_is_told() -> None:
    progress, clock, out = make()
    clock.now_s += 10
    progress.plan("p", 5)
    assert out.getvalue() == "0/2 problems, 0/5 runs, 10 s, time left not known yet\n"


def test_a_finished_problem_counts_once() -> None:
    progress, clock, out = make()
    progress.finish("p")
    progress.finish("p")
    clock.now_s += 10
    progress.finish("p")
    assert out.getvalue().startswith("1/2 problems, 0/0 runs")


def test_what_is_said_is_no_markup() -> None:
    progress, _, out = make()
    progress.say("[bold]stopping[/nonsense]: 100 programs")
    assert out.getvalue() == "[bold]stopping[/nonsense]: 100 programs\n"


def test_on_a_terminal_there_is_a_bar() -> None:
    progress, clock, out = make(terminal=True)
    with progress:
        progress.plan("p", 4)
        progress.advance("p")
        progress.finish("p")
        clock.now_s += 100
        progress.advance("q")
        progress.say("a line above it")
    shown = out.getvalue()
    assert "1/2 problems" in shown
    assert "nearly done" in shown
    assert "a line above it" in shown
    assert "runs," not in shown


def test_threads_lose_no_count() -> None:
    progress, clock, out = make()
    progress.plan("p", 4000)

    def advance() -> None:
        for _ in range(500):
            progress.advance("p")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: advance(), range(8)))
    clock.now_s += 10
    progress.finish("p")
    assert "4000/4000 runs" in out.getvalue()


def test_rows_that_are_not_read_yet_are_taken_to_be_like_those_that_were() -> None:
    progress, clock, out = make(10, unit="rows", streamed=True)
    for row in ("a", "b"):
        progress.plan(row, 20)
        for _ in range(20):
            progress.advance(row)
        progress.finish(row)
    progress.plan("c", 15)
    clock.now_s += 10
    progress.advance("c")
    assert out.getvalue().startswith("2/10 rows, 41/198 runs, 10 s"), "14 of c, and 7 rows of 41 / 2 runs: 143"


def test_it_says_so_if_nobody_knows_how_many_rows_there_are() -> None:
    progress, clock, out = make(None, unit="rows", streamed=True)
    progress.plan("a", 2)
    progress.advance("a")
    progress.finish("a")
    clock.now_s += 10
    progress.plan("b", 1)
    assert out.getvalue().startswith("1 rows (the total is not known), 1/2 runs, 10 s")
    assert "about" not in out.getvalue(), "what is left is at least so much"


def test_of_many_problems_it_keeps_only_those_at_work() -> None:
    progress, _, _ = make()
    for n in range(5000):
        progress.plan(f"{n}", 3)
        progress.finish(f"{n}")
    assert len(progress._last) <= 1000
    assert not progress._ahead


# -- the time left, on a run that was recorded ---------------------------------------------------------

RECORDED = Path(__file__).with_name("recorded_run.txt")
"""`balancer run examples/quickstart.toml` on two busy cores: at which second, p: a plan, a: so many done, f: a problem
is finished; then the problem's number, and how many."""


def replayed(slower: float = 1.0) -> tuple[list[tuple[float, str]], float]:
    """Return the lines that the recorded run prints, each with its second, and how long it took."""
    progress, clock, out = make()
    began_s = clock.now_s
    told: list[tuple[float, str]] = []
    for event in RECORDED.read_text().split():
        at_s, kind, problem, many = re.fullmatch(r"([\d.]+)([paf])(\d+):?(\d*)", event).groups()  # type: ignore[union-attr]
        clock.now_s = began_s + float(at_s) * slower
        if kind == "p":
            progress.plan(problem, int(many))
        elif kind == "f":
            progress.finish(problem)
        for _ in range(int(many) if kind == "a" else 0):
            progress.advance(problem)
        lines = out.getvalue().splitlines()
        told += [(clock.now_s - began_s, line) for line in lines[len(told) :]]
    return told, clock.now_s - began_s


def left_s(line: str) -> float:
    """Return what a line says of the time left, in seconds."""
    found = re.search(r"(?:about|at least) (?:(\d+) min )?(\d+) s left$", line)
    return 60.0 * int(found[1] or 0) + int(found[2]) if found else 0.0


@pytest.mark.parametrize("slower", [1.0, 10.0])
def test_the_time_left_of_a_recorded_run_is_near_the_truth_from_the_first_minute_on(slower: float) -> None:
    told, took_s = replayed(slower)
    assert len(told) >= 10
    for at_s, line in told:
        truth_s = took_s - at_s
        if truth_s < took_s / 5:  # the last few runs are the slow ones of the last problems: see the end, not the clock
            continue
        if " at least " in line:
            assert left_s(line) < 1.25 * truth_s, (line, truth_s)
        elif " about " in line:
            assert 0.5 * truth_s < left_s(line) < 1.5 * truth_s, (line, truth_s)
        else:
            assert at_s < 60, line


@pytest.mark.parametrize("slower", [1.0, 10.0])
def test_the_time_left_of_a_recorded_run_does_not_jump(slower: float) -> None:
    told, _ = replayed(slower)
    known = [(at_s, left_s(line)) for at_s, line in told if "known" not in line and "nearly" not in line]
    for (then_s, before_s), (now_s, after_s) in pairwise(known):
        expected_s = max(1.0, before_s - (now_s - then_s))
        assert after_s < 2.1 * expected_s + 1, "beside the time that passed, it doubles at most"
        assert after_s > expected_s / 2.1 - 1
    assert any(" at least " in line for _, line in told), "before the first problem is finished"
    assert " about " in told[-2][1]


def test_in_a_log_a_line_stays_one_line() -> None:
    out = StringIO()
    with Progress(Console(file=out, width=80), 2) as progress:
        progress.say("word " * 40)
    assert len(out.getvalue().splitlines()) == 1
