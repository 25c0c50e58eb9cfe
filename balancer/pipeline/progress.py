"""Progress of a run: units of work done and left, what is being done, the time left, and the status of each problem.

`balancer.reporting` decides how it is shown.

Remaining work is guessed from the problems that are over. Plans are not exact: killed submissions need no more runs,
and rounds may be added. So each open problem is taken to be like one that is over, drawn at random, by the part of its
first plan that was done. Pure.
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console

from balancer.pipeline.remaining import Crew, RunTimes
from balancer.reporting.progress import Left, ProgressDisplay, TimeLeft, left_words
from balancer.reporting.words import visible

__all__ = ["Activity", "ProblemStatus", "ProblemWork", "Progress", "WorkerProgress", "guesses_of"]

_REMEMBERED = 1000
_SHOWN_EVERY_S = 0.1
_SHOWN = 100  # problems shown after they are done
_FEWEST: Final = 3  # problems that are over; with fewer there is no basis for a guess
_LIKE: Final = 100  # problems that are over, which tell the units of those to come
_ESTIMATED_EVERY_S: Final = 3.0  # an estimate takes some milliseconds


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
class Activity:
    """What is done for a problem.

    Attributes:
        what: with a preposition before the problem, e.g. "searching inputs for".
        since_s: when it began, by the clock of its progress.
        most_s: seconds that it may take; None: no limit.
    """

    what: str
    since_s: float
    most_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """Progress of a worker: runs done since the last time, runs ahead (None: not known), and lines to print.

    `activity`: what it does; `since_s` is in seconds from now, so it is 0 or less.
    """

    problem: str
    done: int
    ahead: int | None
    lines: tuple[str, ...]
    activity: Activity | None = None


class Progress:
    """Counts units of work over many problems. Thread-safe.

    Args:
        console: shows the progress.
        problems: number of problems; None: not known.
        unit: name of the problems, in the plural.
        streamed: whether most problems are not known when the run begins.
        crew: what works on them.
        budget_s: seconds for made-up inputs, of each problem; None: no limit.
        clock: seconds.

    Attributes:
        watched: True once `tables` is read; only then the status of problems is kept.
    """

    def __init__(
        self,
        console: Console,
        problems: int | None,
        *,
        unit: str = "problems",
        streamed: bool = False,
        crew: Crew = Crew(),  # noqa: B008  (frozen)
        budget_s: float | None = None,
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
        self._last: dict[str, None] = {}  # problems that finished lately, each once
        self._planned: dict[str, int] = {}
        self._done_of: dict[str, int] = {}  # in this session
        self._before: dict[str, int] = {}  # in earlier ones
        self._over: deque[ProblemWork] = deque(maxlen=_REMEMBERED)
        self._clock = clock
        self._times = RunTimes(crew, sized=not streamed, budget_s=budget_s)
        self._at_work: set[str] = set()
        self._put_off = 0
        self._activities: dict[str, Activity] = {}
        self._left: Left | None = None
        self._estimated_s = -math.inf
        self._units_left = TimeLeft()
        self._display = ProgressDisplay(console, unit="runs", clock=clock, beat=self._beat)
        self._shown_s = 0.0

    def done_before(self, problem: str, units: int) -> None:
        """Record `units` that earlier sessions did for `problem`.

        They are part of its plan, but not work of this session.
        """
        with self._lock:
            self._before[problem] = units

    def expect(self, problems: int | None) -> None:
        """Correct the number of problems; None: not known."""
        with self._lock:
            self._problems = problems

    def begin(self, problem: str) -> None:
        """Record that `problem` is at work from now on."""
        with self._lock:
            self._at_work.add(problem)
            self._times.begin(problem, self._clock())

    def now(self, problem: str, what: str, most_s: float | None = None, *, adds: bool = False) -> None:
        """Record what is being done for `problem`. See `Activity`. `adds`: to the limit of the same thing before."""
        with self._lock:
            before = self._activities.get(problem)
            if adds and before and before.what == what and before.most_s is not None and most_s is not None:
                self._activities[problem] = replace(before, most_s=before.most_s + most_s)
            else:
                self._activities[problem] = Activity(what, self._clock(), most_s)

    def further(self, turns_s: Mapping[str, float]) -> None:
        """Record how many seconds more problems get that have had their first turn, by name."""
        with self._lock:
            self._times.further(turns_s)

    def plan(self, problem: str, ahead: int, what: str = "", most_s: float | None = None) -> None:
        """Record that `ahead` units of work are left for `problem`, as known now, and what is done next.

        `most_s`: seconds left of its time budget; None: it has none.
        """
        if what:
            self.now(problem, what, most_s)
        with self._lock:
            self._ahead[problem] = ahead
            self._planned.setdefault(problem, ahead)
            self._times.plan(problem, ahead)
            if most_s is not None:
                self._times.spends(problem, self._clock(), most_s)
            self._show()

    def advance(self, problem: str) -> None:
        """Count one unit of `problem` as done."""
        with self._lock:
            self._count(problem, 1)
            self._ahead[problem] = max(0, self._ahead.get(problem, 0) - 1)
            if abs(self._clock() - self._shown_s) >= _SHOWN_EVERY_S:
                self._show()

    def _count(self, problem: str, units: int) -> None:
        self._done += units
        self._done_of[problem] = self._done_of.get(problem, 0) + units
        self._times.advance(problem, units)

    def hear(self, heard: WorkerProgress) -> None:
        """Count the work of another process."""
        for line in heard.lines:
            self.say(line)
        with self._lock:
            self._count(heard.problem, heard.done)
            if heard.ahead is not None:
                self._ahead[heard.problem] = heard.ahead
            if heard.activity is not None:
                since_s = self._clock() + heard.activity.since_s
                self._activities[heard.problem] = replace(heard.activity, since_s=since_s)
            self._show()

    def finish(self, problem: str) -> None:
        """Count `problem` as done."""
        with self._lock:
            self._times.finish(problem, self._clock())
            self._at_work.discard(problem)
            self._activities.pop(problem, None)
            if problem not in self._last:
                self._finished += 1
                self._last[problem] = None
                if len(self._last) > _REMEMBERED:
                    del self._last[next(iter(self._last))]
            ahead, planned = self._ahead.pop(problem, 0), self._planned.pop(problem, 0)
            before = self._before.pop(problem, 0)
            if done := self._done_of.pop(problem, 0):  # problems that were done in earlier sessions took no time here
                self._over.append(ProblemWork(planned, before + done, ahead))
            if self.watched:
                self._done_ones[problem] = None
                while len(self._done_ones) > _SHOWN:
                    first = next(iter(self._done_ones))
                    del self._done_ones[first]
                    self._standings.pop(first, None)
            self._show()

    def put_off(self, problem: str) -> None:
        """Record that `problem` is left for the next session."""
        with self._lock:
            self._put_off += 1
            self._times.drop(problem)
            self._at_work.discard(problem)
            self._activities.pop(problem, None)

    def stands(self, problem: str, look: Callable[[], ProblemStatus]) -> None:
        """Record the status of `problem`, for watchers. `look` is only called if there are any."""
        if self.watched:
            standing = look()
            with self._lock:
                self._standings[problem] = standing

    def guesses(
        self, rng: random.Random, count: int, *, most: int = 10**9
    ) -> tuple[int, tuple[tuple[int, ...], ...], tuple[str, ...]] | None:
        """Return the units done, guesses of those left (see `guesses_of`), and the names of the problems at work, which
        come first in each. None if there is no basis for a guess.

        Args:
            rng: for the draws.
            count: number of guesses. Fewer, but at least 8, if they have more than `most` problems together.
            most: see `count`.
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
        names = tuple(name for name, each in going_on.items() if each.done)
        return None if found is None else (done, found, names)

    def tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the tables of the page: `run`, and the status of the problems at work and of the last ones done."""
        with self._lock:
            ahead = sum(self._ahead.values()) + self._unmet()
            words, left = self._left_words(ahead), self._left
            at_work = [name for name in self._standings if name not in self._done_ones]
            return {
                "run": {
                    "": {
                        "title": self._title(),
                        "done": self._done,
                        "ahead": ahead,
                        "finished": self._finished,
                        "problems": self._problems,
                        "spent_s": round(self._display.spent_s, 1),
                        "left_s": None if left is None else round(left.s, 1),
                        "left": words,
                        "doing": self._doing(),
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

    def _beat(self) -> None:
        with self._lock:
            self._show()

    def _show(self) -> None:
        self._shown_s = self._clock()
        ahead = sum(self._ahead.values()) + self._unmet()
        left, doing = self._left_words(ahead), self._doing()
        self._display.show(self._done, self._done + ahead, title=self._title(), left=left, doing=doing)

    # -- the time left -------------------------------------------------------------------------------

    def _left_words(self, ahead: int) -> str:
        """Return the time left in words, and keep the estimate for a while."""
        now_s = self._clock()
        self._units_left.look(self._display.spent_s, self._done, ahead)
        if now_s - self._estimated_s >= _ESTIMATED_EVERY_S:
            self._estimated_s = now_s
            met = self._finished + self._put_off + sum(name not in self._last for name in self._at_work)
            unmet = None if self._problems is None else max(0, self._problems - met)
            self._left = self._times.left(now_s, unmet)
        if self._problems is None:
            return "time left not known"
        if self._left is None:  # only the plan tells, and it may grow
            return left_words(self._units_left.left, all_seen=False)
        return left_words(self._left)

    def _doing(self) -> str:
        """Return what is being done, for how many problems, and how much longer it may take."""
        by_kind: dict[str, dict[str, Activity]] = {}
        for name, each in self._activities.items():
            by_kind.setdefault(each.what, {})[name] = each
        parts = []
        for what, those in sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0])):
            who = next(iter(those)) if len(those) == 1 else f"{len(those)} {self._unit}"
            parts.append(f"{what} {visible(who)}{self._longer(those.values())}")
        return "; ".join(parts)

    def _longer(self, those: Iterable[Activity]) -> str:
        """Return how much longer the one may take that has most time left; "" if none has a limit."""
        left_s = max((each.since_s + each.most_s - self._clock() for each in those if each.most_s), default=None)
        if left_s is None:
            return ""
        return f" (at most {left_s:.0f} s more)" if left_s > 0.5 else " (its time is up)"

    def _title(self) -> str:
        if self._problems is not None:
            return f"{self._finished}/{self._problems} {self._unit}"
        return f"{self._finished} {self._unit} (the total is not known)"

    def _unmet(self) -> int:
        """Return the units of work of problems without a plan, if they are like those that are over."""
        if self._problems is None or not self._streamed or not self._over:
            return 0
        mean = sum(each.done for each in islice(reversed(self._over), _LIKE)) / min(len(self._over), _LIKE)
        return round(max(0, self._problems - self._finished - len(self._ahead)) * mean)

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, traceback)


@dataclass(frozen=True, slots=True)
class ProblemWork:
    """Work of one problem, in units.

    Attributes:
        planned: before it began.
        done: so far.
        ahead: planned now.
    """

    planned: int
    done: int
    ahead: int


def guesses_of(
    over: Sequence[ProblemWork], going_on: Mapping[str, ProblemWork], unmet: int, rng: random.Random, count: int
) -> tuple[tuple[int, ...], ...] | None:
    """Return `count` guesses of the work left for each problem, those at work first; None if there is no basis.

    Args:
        over: problems that are over and took some work.
        going_on: open problems, by name.
        unmet: number of further problems, of which nothing is known.
        rng: for the draws.
        count: number of guesses.
    """
    told = [each for each in over if each.planned > 0 and each.done > 0]
    if len(told) < _FEWEST or not (going_on or unmet):
        return None
    begun = sorted(going_on.values(), key=lambda each: not each.done)
    return tuple(_guess(begun, told, unmet, rng) for _ in range(count))


def _guess(
    begun: Sequence[ProblemWork], told: Sequence[ProblemWork], unmet: int, rng: random.Random
) -> tuple[int, ...]:
    # The problems that are over are a small sample. So the sample is drawn too, once for all problems of a guess.
    # Otherwise the sum of many would look too certain. It has one fewer (Rao and Wu, JASA 83, 1988).
    few = rng.choices(told, k=len(told) - 1)
    at_work = [each for each in begun if each.done]
    lefts = [_left_of(each, few, told, rng) for each in at_work]
    # Small problems are over first. Those at work, with the size just drawn, join the sample: the mass of a
    # censored one goes to larger ones (Efron, Proc. 5th Berkeley Symposium 4, 1967, on Kaplan and Meier).
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
    return max(1, each.ahead)  # it took more than any other of its size, so only the current plan is known
