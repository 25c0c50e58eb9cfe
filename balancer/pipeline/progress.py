"""Progress of a run: units of work done and left, what is being done, the time left, and the status of each problem.

`balancer.reporting` decides how it is shown. Plans are not exact: killed submissions need no more runs, and rounds may
be added. Pure.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from rich.console import Console

from balancer.reporting.progress import ProgressDisplay, left_words, time_left_s
from balancer.reporting.words import visible

__all__ = ["ProblemStatus", "Progress", "WorkerProgress"]

_REMEMBERED = 1000
_LITTLE = 0.1  # of the runs that are done: a round that is added takes about as many
_SHOWN = 100  # problems shown after they are done


@dataclass(frozen=True, slots=True)
class ProblemStatus:
    """Status of one problem.

    Attributes:
        round: its last judged round, from 0.
        cases: number of its cases.
        survivors, wrong: wrong submissions that no case kills, and all wrong ones.
    """

    round: int
    cases: int
    survivors: int
    wrong: int


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """Progress of a worker: runs done since the last time, runs ahead (None: not known), lines to print, what it does.

    What is done has a preposition before the problem, e.g. "making inputs for".
    """

    problem: str
    done: int
    ahead: int | None
    lines: tuple[str, ...]
    doing: str = ""


@dataclass(slots=True)
class _AtWork:
    """A problem that is not over: its units done and ahead (None: not known), what is done for it, and its status."""

    done: int = 0
    ahead: int | None = None
    doing: str = ""
    status: ProblemStatus | None = None


class Progress:
    """Counts units of work over many problems. Thread-safe.

    Args:
        console: shows the progress.
        problems: number of problems; None: not known.
        unit: name of the problems, in the plural.
        streamed: whether most problems are not known when the run begins.
        clock: seconds.

    Attributes:
        watched: whether somebody reads `tables`; only then the status of problems is kept.
    """

    def __init__(
        self,
        console: Console,
        problems: int | None,
        *,
        unit: str = "problems",
        streamed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watched = False
        self._problems = problems
        self._unit = unit
        self._streamed = streamed
        self._clock = clock
        self._lock = threading.Lock()
        self._done = self._finished = 0
        self._at_work: dict[str, _AtWork] = {}
        self._last: dict[str, ProblemStatus | None] = {}  # problems that finished lately, each once
        self._like = (0, 0)  # problems that are over and took some work, and that work
        self._display = ProgressDisplay(console, unit="runs", clock=clock, beat=self.show)

    def expect(self, problems: int | None) -> None:
        """Correct the number of problems; None: not known."""
        with self._lock:
            self._problems = problems

    def plan(self, problem: str, ahead: int | None, what: str = "") -> None:
        """Record that `ahead` units of work are left for `problem`, as known now, and what is done next.

        Args:
            problem: its name.
            ahead: None: as before.
            what: as in `WorkerProgress`; "": as before.
        """
        with self._lock:
            at_work = self._of(problem)
            at_work.doing = what or at_work.doing
            at_work.ahead = at_work.ahead if ahead is None else ahead

    def advance(self, problem: str) -> None:
        """Count one unit of `problem` as done."""
        with self._lock:
            at_work = self._of(problem)
            self._done, at_work.done = self._done + 1, at_work.done + 1
            at_work.ahead = max(0, (at_work.ahead or 0) - 1)

    def hear(self, heard: WorkerProgress) -> None:
        """Count the work of another process."""
        for line in heard.lines:
            self.say(line)
        with self._lock:
            self._done += heard.done
            self._of(heard.problem).done += heard.done
        self.plan(heard.problem, heard.ahead, heard.doing)

    def finish(self, problem: str) -> None:
        """Count `problem` as done."""
        with self._lock:
            ended = self._at_work.pop(problem, _AtWork())
            self._finished += problem not in self._last
            self._last[problem] = ended.status or self._last.get(problem)
            if len(self._last) > _REMEMBERED:
                del self._last[next(iter(self._last))]
            if ended.done:  # problems that were done in earlier sessions took none here
                self._like = self._like[0] + 1, self._like[1] + ended.done

    def put_off(self, problem: str) -> None:
        """Record that `problem` is left for the next session: it is met, and has no work left in this one."""
        with self._lock:
            self._at_work[problem] = replace(self._of(problem), ahead=0, doing="")

    def stands(self, problem: str, look: Callable[[], ProblemStatus]) -> None:
        """Record the status of `problem`, for watchers. `look` is only called if there are any."""
        if self.watched:
            status = look()
            with self._lock:
                self._of(problem).status = status

    def tables(self) -> dict[str, Any]:
        """Return the tables of the page: `run`, and the status of the problems at work and of the last ones done."""
        with self._lock:
            ahead = self._ahead()
            left_s = self._left_s(ahead)
            run = {
                "title": self._title(),
                "done": self._done,
                "ahead": ahead,
                "finished": self._finished,
                "problems": self._problems,
                "spent_s": round(self._display.spent_s, 1),
                "left_s": None if left_s is None else round(left_s, 1),
                "left": self._left_words(ahead),
                "doing": self._doing(),
            }
            last = dict(list(reversed(self._last.items()))[:_SHOWN]) if self.watched else {}
            at_work = {name: each.status for name, each in self._at_work.items() if each.status and name not in last}
            problems = [
                {"id": name, **(asdict(status) if status else {}), "over": name in last}
                for name, status in {**at_work, **last}.items()
            ]
            return {"run": run, "problems": problems}

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._display.say(text)

    def show(self) -> None:
        """Show how far the run is: every second, and at the end."""
        with self._lock:
            ahead = self._ahead()
            left, doing = self._left_words(ahead), self._doing()
            self._display.show(self._done, self._done + ahead, title=self._title(), left=left, doing=doing)

    # -- inside --------------------------------------------------------------------------------------

    def _of(self, problem: str) -> _AtWork:
        return self._at_work.setdefault(problem, _AtWork())

    def _ahead(self) -> int:
        """Return the units of work ahead. Problems without a plan are taken to be like those that are over."""
        planned = [each.ahead for each in self._at_work.values() if each.ahead is not None]
        over, units = self._like
        if self._problems is None or not self._streamed or not over:
            return sum(planned)
        unmet = max(0, self._problems - self._finished - len(planned))
        return sum(planned) + round(unmet * units / over)

    def _left_s(self, ahead: int) -> float | None:
        """Return the time left; None if nothing tells it: little of the plan is left, and more may be planned."""
        if self._problems is None or (ahead < _LITTLE * self._done and self._finished < self._problems):
            return None
        return time_left_s(self._display.spent_s, self._done, ahead)

    def _left_words(self, ahead: int) -> str:
        return "time left not known" if self._problems is None else left_words(self._left_s(ahead))

    def _doing(self) -> str:
        """Return what is being done, for how many problems."""
        by_kind: dict[str, list[str]] = {}
        for name, each in self._at_work.items():
            if each.doing:
                by_kind.setdefault(each.doing, []).append(name)
        return "; ".join(
            f"{what} {visible(names[0]) if len(names) == 1 else f'{len(names)} {self._unit}'}"
            for what, names in sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
        )

    def _title(self) -> str:
        if self._problems is not None:
            return f"{self._finished}/{self._problems} {self._unit}"
        return f"{self._finished} {self._unit} (the total is not known)"

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.show()
        self._display.__exit__(*error)
