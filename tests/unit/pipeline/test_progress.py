"""How progress is counted, and what it looks like where there is no terminal."""

import threading
from io import StringIO
from typing import Any

from rich.console import Console

from balancer.pipeline.progress import Progress, WorkerProgress
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


def told(progress: Progress, clock: Clock, out: StringIO) -> str:
    """Return the line that is shown ten seconds later; no thread shows it outside of a `with` block."""
    before = len(out.getvalue())
    clock.now_s += 10
    progress.show()
    return out.getvalue()[before:].rstrip("\n")


def test_line_without_a_terminal_comes_now_and_then():
    progress, clock, out = made = make()
    progress.plan("p", 10, "judging the programs of")
    progress.plan("q", 30, "judging the programs of")
    for _ in range(10):
        progress.advance("p")
    progress.show()
    assert out.getvalue() == "", "nothing within the first seconds"
    assert told(*made) == "0/2 problems, 10/40 runs, 10 s, about 30 s left, judging the programs of 2 problems"
    clock.now_s += 7
    progress.advance("q")
    progress.show()
    progress.finish("p")
    assert told(*made).startswith("1/2 problems, 11/40 runs, 27 s, ")
    assert out.getvalue().endswith(", judging the programs of q\n")


def test_plan_may_be_corrected_and_its_total_is_never_below_what_is_done():
    progress, *_ = made = make()
    progress.plan("p", 100)
    progress.advance("p")
    progress.plan("p", 1)
    progress.advance("p")
    assert told(*made) == "0/2 problems, 2/2 runs, 10 s, time left not known yet"
    progress.advance("p")
    progress.finish("p")
    progress.finish("p")
    assert told(*made) == "1/2 problems, 3/3 runs, 20 s, time left not known yet"


def test_rows_that_are_not_read_yet_are_taken_to_be_like_those_that_were():
    progress, *_ = made = make(10, unit="rows", streamed=True)
    for row in ("a", "b"):
        progress.plan(row, 20)
        for _ in range(20):
            progress.advance(row)
        progress.finish(row)
    progress.plan("c", 15)
    progress.advance("c")
    assert told(*made).startswith("2/10 rows, 41/195 runs, 10 s"), "14 of c, and 7 rows of 20 runs"


def test_it_says_so_if_nobody_knows_how_many_rows_there_are():
    progress, *_ = made = make(None, unit="rows", streamed=True)
    progress.plan("a", 2)
    progress.advance("a")
    progress.finish("a")
    progress.plan("b", 1)
    line = told(*made)
    assert line.startswith("1 rows (the total is not known), 1/2 runs, 10 s")
    assert "about" not in line, "what is left is at least so much"


def test_it_says_what_is_done_for_how_many_here_and_elsewhere():
    progress, *_ = made = make(9)
    progress.plan("a", None, "making inputs for")
    progress.hear(WorkerProgress("b", 3, 5, (), "making inputs for"))
    progress.plan("c\x1b", None, "waiting for the model about")
    progress.plan("d", 5, "judging the programs of")
    doing = "making inputs for 2 problems; judging the programs of d; waiting for the model about c\ufffd"
    assert told(*made).endswith(f", {doing}")
    assert progress.tables()["run"]["doing"] == doing
    progress.hear(WorkerProgress("b", 3, 2, ()))
    assert told(*made).startswith("0/9 problems, 6/13 runs, 20 s, "), "6 were done for b, and 2 + 5 are ahead"


def test_plan_of_a_problem_that_is_put_off_is_not_ahead():
    progress, *_ = made = make(3)
    for name in "abc":
        progress.plan(name, 4, "judging the programs of")
    for name in "ab":
        progress.advance(name)
        progress.finish(name)
    progress.put_off("c")
    assert told(*made) == "2/3 problems, 2/2 runs, 10 s, time left not known yet"


def test_line_comes_by_itself_and_at_the_end():
    class Out(StringIO):
        def write(self, text: str) -> int:
            if "making inputs for a" in text:
                came.set()
            return super().write(text)

    came, out, clock = threading.Event(), Out(), Clock()
    with Progress(Console(file=out), 2, clock=clock) as progress:
        progress.plan("a", None, "making inputs for")
        clock.now_s += 25
        assert came.wait(PATIENCE_S)
        progress.finish("a")
        clock.now_s += 25
    assert out.getvalue().splitlines()[-1].startswith("1/2 problems, ")
