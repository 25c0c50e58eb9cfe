"""How progress is counted, and what it looks like where there is no terminal."""

import threading
from io import StringIO
from typing import Any

from rich.console import Console

from balancer.pipeline.progress import Activity, Progress, WorkerProgress
from tests.patience import PATIENCE_S


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


def test_without_a_terminal_there_is_a_line_now_and_then():
    progress, clock, out = make()  # not in a `with` block, so no thread shows it
    progress.plan("p", 10, "judging the programs of")
    progress.plan("q", 30, "judging the programs of")
    for _ in range(9):
        progress.advance("p")
    assert out.getvalue() == "", "nothing within the first seconds"
    clock.now_s += 10
    progress.advance("p")
    told = "0/2 problems, 10/40 runs, 10 s, about 30 s left, judging the programs of 2 problems"
    assert out.getvalue() == f"{told}\n"
    clock.now_s += 7
    progress.advance("q")
    clock.now_s += 1
    progress.finish("p")
    assert [line.partition(" s, ")[0] for line in out.getvalue().splitlines()[1:]] == ["1/2 problems, 11/40 runs, 18"]
    assert out.getvalue().endswith(", judging the programs of q\n")


def test_a_plan_may_be_corrected():
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
        "0/2 problems, 2/2 runs, 10 s, time left not known yet",
        "1/2 problems, 3/3 runs, 20 s, time left not known yet",
    ], "more was done than was planned, and the total is never below what is done"


def test_a_finished_problem_counts_once():
    progress, clock, out = make()
    progress.finish("p")
    progress.finish("p")
    clock.now_s += 10
    progress.finish("p")
    assert out.getvalue().startswith("1/2 problems, 0/0 runs")


def test_rows_that_are_not_read_yet_are_taken_to_be_like_those_that_were():
    progress, clock, out = make(10, unit="rows", streamed=True)
    for row in ("a", "b"):
        progress.plan(row, 20)
        for _ in range(20):
            progress.advance(row)
        progress.finish(row)
    progress.plan("c", 15)
    clock.now_s += 10
    progress.advance("c")
    assert out.getvalue().startswith("2/10 rows, 41/195 runs, 10 s"), "14 of c, and 7 rows of 20 runs"


def test_it_says_so_if_nobody_knows_how_many_rows_there_are():
    progress, clock, out = make(None, unit="rows", streamed=True)
    progress.plan("a", 2)
    progress.advance("a")
    progress.finish("a")
    clock.now_s += 10
    progress.plan("b", 1)
    assert out.getvalue().startswith("1 rows (the total is not known), 1/2 runs, 10 s")
    assert "about" not in out.getvalue(), "what is left is at least so much"


# -- what is being done --------------------------------------------------------------------------------


def test_it_says_what_is_done_for_how_many_and_how_much_longer_it_may_take():
    progress, clock, out = make(9)
    progress.now("a", "searching inputs for", 60.0)
    clock.now_s += 20
    progress.now("b", "searching inputs for", 60.0)
    progress.now("c\x1b", "waiting for the model about")
    clock.now_s += 20
    progress.plan("d", 5, "judging the programs of")
    assert out.getvalue().endswith(
        ", searching inputs for 2 problems (at most 40 s more); judging the programs of d; "
        "waiting for the model about c\N{REPLACEMENT CHARACTER}\n"
    )
    assert progress.tables()["run"]["doing"].startswith("searching inputs for 2 problems")


def test_what_another_process_does_is_told_with_its_own_time():
    progress, clock, out = make(2)
    clock.now_s += 20
    progress.hear(WorkerProgress("a", 3, 5, (), Activity("searching inputs for", -7.0, 20.0)))
    assert out.getvalue().endswith("searching inputs for a (at most 13 s more)\n")
    clock.now_s += 30
    progress.hear(WorkerProgress("a", 3, 5, ()))
    assert out.getvalue().endswith("searching inputs for a (its time is up)\n")


def test_what_was_planned_of_a_problem_that_is_put_off_is_not_ahead():
    progress, clock, out = make(3)
    for name in "abc":
        progress.plan(name, 4, "judging the programs of")
    for name in "ab":
        progress.advance(name)
        progress.finish(name)
    progress.put_off("c")
    clock.now_s += 10
    progress.plan("a", 0)
    assert out.getvalue() == "2/3 problems, 2/2 runs, 10 s, time left not known yet\n"


def test_a_line_comes_by_itself_while_a_search_counts_nothing():
    class Out(StringIO):
        def write(self, text: str) -> int:
            if "at most 35 s more" in text:
                came.set()
            return super().write(text)

    came, out, clock = threading.Event(), Out(), Clock()
    with Progress(Console(file=out), 2, clock=clock) as progress:
        progress.now("a", "searching inputs for", 60.0)
        clock.now_s += 25
        assert came.wait(PATIENCE_S)
