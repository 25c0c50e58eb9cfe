"""How far a run is: what is done of each problem, and what is left of it as far as is known.

The work of many problems adds up to one number of units done and one of units left. How that is shown is for
`balancer.reporting`.

Remaining work of a run, guessed from what became of the problems that are over. Decides how many units of work a
problem takes that is not over: wrong submissions that are killed need no more runs, and rounds come or do not, so it is
taken to be like one of those that are over, drawn at random, by the part of its first plan that was made. Pure.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console

from balancer.reporting.progress import ProgressDisplay
from balancer.reporting.words import seconds

__all__ = ["ProblemStatus", "ProblemWork", "Progress", "WorkerProgress", "guesses_of"]

_REMEMBERED = 1000
_SHOWN = 100  # problems that are shown when they are done
_FEWEST: Final = 3  # problems that are over: with fewer nobody knows what a plan is worth


@dataclass(frozen=True, slots=True)
class ProblemStatus:
    """How far one problem is.

    Attributes:
        round: its last round that was judged, from 0.
        cases: those it has.
        survivors, wrong: wrong submissions that no case kills, and all of them.
    """

    round: int
    cases: int
    survivors: int
    wrong: int


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """How far a worker is: runs done since the last time, runs ahead if that is known, and lines to be said."""

    problem: str
    done: int
    ahead: int | None
    lines: tuple[str, ...]


class Progress:
    """Counts units of work over many problems. Thread-safe.

    Args:
        console: where to show it.
        problems: how many problems there are; None if nobody knows.
        unit: what they are, in the plural.
        streamed: whether most of them are not known when the run begins.
        clock: seconds.

    Attributes:
        watched: True once somebody looks at `tables`: then it pays to say how problems stand.
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
        self._problems = problems
        self._unit = unit
        self._streamed = streamed
        self._lock = threading.Lock()
        self._done = 0
        self._ahead: dict[str, int] = {}
        self._finished = 0
        self._standings: dict[str, ProblemStatus | None] = {}
        self._done_ones: dict[str, None] = {}
        self.watched = False
        self._last: dict[str, None] = {}  # problems that have finished lately: one that does so twice counts once
        self._planned: dict[str, int] = {}
        self._done_of: dict[str, int] = {}  # in this session
        self._before: dict[str, int] = {}  # in earlier ones
        self._over: deque[ProblemWork] = deque(maxlen=_REMEMBERED)
        self._clock = clock
        self._ends_s: tuple[float, float] | None = None  # between which the run will end, as a forecast says
        self._display = ProgressDisplay(console, unit="runs", clock=clock)

    def done_before(self, problem: str, units: int) -> None:
        """Say that earlier sessions did `units` of `problem`: they are no work of this one, but part of its plan."""
        with self._lock:
            self._before[problem] = units

    def plan(self, problem: str, ahead: int) -> None:
        """Say that `ahead` units of work are left for `problem`, as far as is known now."""
        with self._lock:
            self._ahead[problem] = ahead
            self._planned.setdefault(problem, ahead)
            self._show()

    def advance(self, problem: str) -> None:
        """Count one unit of `problem` as done."""
        with self._lock:
            self._done += 1
            self._done_of[problem] = self._done_of.get(problem, 0) + 1
            self._ahead[problem] = max(0, self._ahead.get(problem, 0) - 1)
            self._show()

    def hear(self, heard: WorkerProgress) -> None:
        """Count what another process has done."""
        for line in heard.lines:
            self.say(line)
        with self._lock:
            self._done += heard.done
            if heard.ahead is not None:
                self._ahead[heard.problem] = heard.ahead
            self._show()

    def finish(self, problem: str) -> None:
        """Count `problem` as done."""
        with self._lock:
            if problem not in self._last:
                self._finished += 1
                self._last[problem] = None
                if len(self._last) > _REMEMBERED:
                    del self._last[next(iter(self._last))]
            ahead, planned = self._ahead.pop(problem, 0), self._planned.pop(problem, 0)
            before = self._before.pop(problem, 0)
            if done := self._done_of.pop(problem, 0):  # what earlier sessions were done with took no time here
                self._over.append(ProblemWork(planned, before + done, ahead))
            if self.watched:
                self._done_ones[problem] = None
                while len(self._done_ones) > _SHOWN:
                    first = next(iter(self._done_ones))
                    del self._done_ones[first]
                    self._standings.pop(first, None)
            self._show()

    def stands(self, problem: str, look: Callable[[], ProblemStatus]) -> None:
        """Say how `problem` stands, for those who watch; `look` is called if there are any."""
        if self.watched:
            standing = look()
            with self._lock:
                self._standings[problem] = standing

    def guesses(
        self, rng: random.Random, count: int, *, most: int = 10**9
    ) -> tuple[int, tuple[tuple[int, ...], ...]] | None:
        """Return the units done, and guesses of those left: see `guesses_of`. None if nobody can know.

        Args:
            count: guesses; fewer, but 8, if these are of more than `most` problems together.
        """
        with self._lock:
            going_on = {
                name: ProblemWork(
                    self._planned.get(name, ahead), self._before.get(name, 0) + self._done_of.get(name, 0), ahead
                )
                for name, ahead in self._ahead.items()
            }
            unmet = 0 if self._problems is None else max(0, self._problems - self._finished - len(going_on))
            over, done = list(self._over), self._done
            if self._problems is None:
                return None
        count = min(count, max(8, most // max(1, len(going_on) + unmet)))
        found = guesses_of(over, going_on, unmet, rng, count)
        return None if found is None else (done, found)

    def show_end(self, low_s: float, high_s: float) -> None:
        """Show that the run is forecast to last so much longer, seconds from now on."""
        with self._lock:
            now_s = self._clock()
            self._ends_s = now_s + low_s, now_s + high_s
            self._show()

    def _forecast(self) -> str:
        """Return what is left as a forecast says; "" if there is none, or that time is over."""
        if self._ends_s is None:
            return ""
        low_s, high_s = (max(0.0, each - self._clock()) for each in self._ends_s)
        return f"predicted {seconds(round(low_s))} to {seconds(round(high_s))} left" if high_s else ""

    def tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what there is to see: `run`, and how the problems at work, and the last that are done, stand."""
        with self._lock:
            ahead = sum(self._ahead.values()) + self._unmet()
            spent_s, left_s, left = self._display.look(self._done, ahead, all_seen=self._all_seen)
            at_work = [name for name in self._standings if name not in self._done_ones]
            return {
                "run": {
                    "": {
                        "title": self._title(),
                        "done": self._done,
                        "ahead": ahead,
                        "finished": self._finished,
                        "problems": self._problems,
                        "spent_s": round(spent_s, 1),
                        "left_s": None if left_s is None else round(left_s, 1),
                        "left": self._forecast() or left,
                    }
                },
                "problems": {
                    name: {**(asdict(standing) if standing else {}), "over": name in self._done_ones}
                    for name in (*at_work, *reversed(self._done_ones))
                    if (standing := self._standings.get(name)) or name in self._done_ones
                },
            }

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._display.say(text)

    def _show(self) -> None:
        self._display.show(
            self._done,
            self._done + sum(self._ahead.values()) + self._unmet(),
            title=self._title(),
            all_seen=self._all_seen,
            forecast=self._forecast(),
        )

    def _title(self) -> str:
        if self._problems is not None:
            return f"{self._finished}/{self._problems} {self._unit}"
        return f"{self._finished} {self._unit} (how many there are is not known)"

    @property
    def _all_seen(self) -> bool:
        # The last step of a problem, its wrong submissions, has the slowest runs: those that never end.
        return bool(self._finished) and self._problems is not None

    def _unmet(self) -> int:
        """Return the units of work of problems that were not planned yet, if they are like those that are done."""
        if self._problems is None or not self._streamed or not self._finished:
            return 0
        return max(0, self._problems - self._finished - len(self._ahead)) * self._done // self._finished

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, traceback)


@dataclass(frozen=True, slots=True)
class ProblemWork:
    """What is known of a problem, in units of work.

    Attributes:
        planned: those that it was taken to need before it began.
        done: those that were done.
        ahead: those that are planned now.
    """

    planned: int
    done: int
    ahead: int


def guesses_of(
    over: Sequence[ProblemWork], going_on: Mapping[str, ProblemWork], unmet: int, rng: random.Random, count: int
) -> tuple[tuple[int, ...], ...] | None:
    """Return `count` guesses of what is left of each problem, those at work first; None if nobody can know.

    Args:
        over: problems that are over, and took some work.
        going_on: those that are not, by name.
        unmet: how many there are besides, of which nothing is known.
        rng: draws.
    """
    told = [each for each in over if each.planned > 0 and each.done > 0]
    if len(told) < _FEWEST or not (going_on or unmet):
        return None
    begun = sorted(going_on.values(), key=lambda each: not each.done)
    return tuple(_guess(begun, told, unmet, rng) for _ in range(count))


def _guess(
    begun: Sequence[ProblemWork], told: Sequence[ProblemWork], unmet: int, rng: random.Random
) -> tuple[int, ...]:
    # Those that are over are a few of many: which few they are is drawn as well, for all problems of a guess together,
    # or the sum of many would look as if it were known well. One fewer of them (Rao and Wu, JASA 83, 1988).
    few = rng.choices(told, k=len(told) - 1)
    at_work = [each for each in begun if each.done]
    lefts = [_left_of(each, few, told, rng) for each in at_work]
    # Small problems are over first. Those at work, as large as they were just taken to be, belong to the same few: what
    # is censored goes to what is larger (Efron, Proc. 5th Berkeley Symposium 4, 1967, on Kaplan and Meier).
    few += [
        ProblemWork(each.planned, each.done + left, 0)
        for each, left in zip(at_work, lefts, strict=True)
        if each.planned
    ]
    lefts += [_left_of(each, few, told, rng) for each in begun[len(at_work) :]]
    return (*lefts, *(rng.choice(few).done for _ in range(unmet)))


def _left_of(each: ProblemWork, few: Sequence[ProblemWork], told: Sequence[ProblemWork], rng: random.Random) -> int:
    for among in (few, told):
        wholes = [other.done / other.planned * each.planned for other in among]
        if longer := [whole for whole in wholes if whole > each.done]:
            return max(1, round(rng.choice(longer) - each.done))
    return max(1, each.ahead)  # it has taken more than any of its size before: what is planned now is all that is known
