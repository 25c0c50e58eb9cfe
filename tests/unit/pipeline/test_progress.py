"""How progress is counted, and what it looks like where there is no terminal."""

import threading
from io import StringIO

from rich.console import Console

from balancer.pipeline.running.progress import Progress


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(*, terminal: bool = False) -> tuple[Progress, Clock, StringIO]:
    out, clock = StringIO(), Clock()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    return Progress(console, 2, clock=clock), clock, out


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
        assert out.getvalue() == "0/2 problems, 10/40 runs, 10 s, ETA 30 s\n"
        clock.now_s += 9.5
        progress.advance("q")
        clock.now_s += 0.5
        progress.finish("p")
    assert out.getvalue().splitlines()[1:] == ["1/2 problems, 11/40 runs, 20 s, ETA 53 s"]


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
        "0/2 problems, 2/2 runs, 10 s, ETA 0 s",
        "1/2 problems, 3/3 runs, 20 s, ETA 0 s",
    ], "more was done than was planned, and the total is never below what is done"


def test_before_anything_is_done_there_is_no_eta() -> None:
    progress, clock, out = make()
    clock.now_s += 10
    progress.plan("p", 5)
    assert out.getvalue() == "0/2 problems, 0/5 runs, 10 s, ETA unknown\n"


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
    assert "ETA" in shown
    assert "a line above it" in shown
    assert "runs," not in shown


def test_threads_lose_no_count() -> None:
    progress, clock, out = make()
    progress.plan("p", 4000)

    def advance() -> None:
        for _ in range(500):
            progress.advance("p")

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now_s += 10
    progress.finish("p")
    assert "4000/4000 runs" in out.getvalue()
