"""Time left of a run, from the times of its problems: those that are over, and those at work so far.

The times are taken to be log-normal and in proportion to sizes, with unknown scale and spread. A problem that is over
tells its time; one at work tells that it takes longer than it has. Before any is over, the plan tells the scale
roughly. Without a plan nothing does, and it is taken to be as likely above twice the longest time so far as below
(Gott, Nature 363, 1993). What is left is drawn from what is likely then, and worked off by as many at once as the run
does. Near the end there are fewer, and each has more of the slots. Pure.
"""

import math
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heapreplace
from itertools import pairwise, product
from statistics import NormalDist
from typing import Final

from balancer.reporting.progress import Left

__all__ = ["Crew", "ProblemTime", "ProblemsSeen", "RunTimes", "time_left"]

_SPREADS: Final = (0.15, 0.25, 0.35, 0.5, 0.7, 1.0)  # of the logarithm
_SCALES: Final = 40
_BELOW, _ABOVE = 1.0, 3.0  # logarithms of the scales tried, from the shortest and the longest time
_TELLING: Final = 0.2  # share of what is planned for those at work; with less done, the plan tells nothing
_PLAN: Final = 0.5  # how far a plan may be off, as a logarithm
_BUDGET, _SURE = 0.25, 3  # the same of a time budget, and how many of the spreads it may have, the narrow ones
_PACE: Final = 0.35  # how much faster or slower the rest may be than the first problems, as a logarithm
_SLOWLY, _LEAST_FIRST = 0.3, 0.1  # how that falls with more problems over; a machine may always change
_COLD: Final = 0.15  # how much longer the first problems take, as a logarithm: nothing is compiled or cached yet
_DRAWS: Final = 100
_LATEST: Final = 200  # problems over that count
_LIKE: Final = 64  # problems at work that tell the scale
_EACH: Final = 64  # problems to come that are drawn each by itself
_SHORTEST_S: Final = 0.05
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Crew:
    """How many problems are at work at once, slots of all endpoints, and the most slots that one problem uses."""

    at_once: int = 1
    slots: int = 1
    threads: int = 1

    def pace(self, at_work: int) -> float:
        """Return how fast each goes when so many are at work, relative to `at_once` of them."""
        usual, now = (min(self.threads, self.slots / max(1, many)) for many in (self.at_once, at_work))
        return max(1.0, now / usual)


@dataclass(frozen=True, slots=True)
class ProblemTime:
    """Seconds of work on a problem so far, its size relative to others, and the most seconds that are left to it."""

    s: float
    size: float = 1.0
    most_s: float = math.inf

    @property
    def log(self) -> float:
        """Logarithm of the seconds for a size of 1."""
        return math.log(max(self.s, _SHORTEST_S) / self.size)


@dataclass(frozen=True)
class ProblemsSeen:
    """What is known of the problems of a run.

    Attributes:
        over: those that are over, in the order of their ends.
        at_work: those at work.
        to_come: sizes of the others.
        again_s: seconds for which each will be at work again that is over.
        expected_s: what a problem of size 1 takes by the plan, roughly; None: nobody knows.
        budgeted: whether that is a time budget. It runs by the clock, whatever the pace.
    """

    over: Sequence[ProblemTime] = ()
    at_work: Sequence[ProblemTime] = ()
    to_come: Sequence[float] = ()
    again_s: Sequence[float] = ()
    expected_s: float | None = None
    budgeted: bool = False

    @cached_property
    def many(self) -> float:
        """Sizes of the problems to come that are not drawn each by itself, added up."""
        return sum(self.to_come[:-_EACH])


class RunTimes:
    """Times of the problems of a run, as they begin, advance and end.

    Half of a problem's time is what the clock says. The other half is its units of work, at what a unit takes on
    average: so a problem at work that waits for others counts as less far.

    Args:
        crew: what works on the problems.
        sized: whether the plans of all problems are known before they begin, so that they tell their sizes.
        budget_s: the time budget of a problem, which is about what it takes, whatever the plan says; None: none.
    """

    def __init__(self, crew: Crew, *, sized: bool, budget_s: float | None = None) -> None:
        self._crew = crew
        self._sized = sized and budget_s is None
        self._budget_s = budget_s
        self._sizes: dict[str, int] = {}  # of those to come
        self._sizes_sum = self._sizes_count = 0
        self._at_work: dict[str, _AtWork] = {}
        self._over: deque[_Over] = deque(maxlen=_LATEST)
        self._over_s, self._over_units = 0.0, 0
        self._further_s: Mapping[str, float] = {}

    def plan(self, problem: str, units: int) -> None:
        """Record the units of work that are planned for a problem. They are its size if it has not begun."""
        if (begun := self._at_work.get(problem)) is not None:
            begun.ahead = units
        elif self._sized and problem not in self._sizes:
            self._sizes[problem] = max(1, units)
            self._sizes_sum += max(1, units)
            self._sizes_count += 1

    def begin(self, problem: str, now_s: float) -> None:
        """Record that a problem is at work from now on."""
        self._at_work[problem] = _AtWork(now_s, self._sizes.pop(problem, 0))

    def advance(self, problem: str, units: int = 1) -> None:
        """Count units of work of a problem as done."""
        if (begun := self._at_work.get(problem)) is not None:
            begun.units += units

    def spends(self, problem: str, now_s: float, left_s: float) -> None:
        """Record that a problem spends its time budget, and how many seconds of it are left."""
        if (begun := self._at_work.get(problem)) is not None:
            begun.until_s = now_s + left_s
            begun.own_s = begun.own_s or now_s - begun.since_s

    def finish(self, problem: str, now_s: float) -> None:
        """Record that a problem is over. If it had not begun, it was over before, and tells nothing."""
        self._sizes.pop(problem, None)
        begun = self._at_work.pop(problem, None)
        if begun is not None and problem not in self._further_s:
            took_s = now_s - begun.since_s
            self._over.append(_Over(took_s, begun.units, begun.size))
            self._over_s, self._over_units = self._over_s + took_s, self._over_units + begun.units

    def drop(self, problem: str) -> None:
        """Record that a problem is not judged now."""
        self._sizes.pop(problem, None)
        self._at_work.pop(problem, None)

    def further(self, turns_s: Mapping[str, float]) -> None:
        """Record how many seconds more problems get that have had their first turn, by name."""
        self._further_s = turns_s

    def left(self, now_s: float, unmet: int | None) -> Left | None:
        """Return the time left. None if nothing is known: e.g. all are at work, none is over, and there is no plan.

        Args:
            now_s: by the clock of the other calls.
            unmet: number of the problems that have not begun; None: not known.
        """
        told = unmet or self._over or self._sizes_count or self._budget_s
        if unmet is None or not (told or not self._at_work):
            return None
        at_work = {name: each for name, each in self._at_work.items() if name not in self._further_s}
        passed_s = sum(now_s - each.since_s for each in at_work.values())
        units = self._over_units + sum(each.units for each in at_work.values())
        unit_s = (self._over_s + passed_s) / max(1, units)
        mean = self._sizes_sum / max(1, self._sizes_count)

        def timed(took_s: float, done: int, size: int, until_s: float = math.inf) -> ProblemTime:
            by_units_s = took_s if self._budget_s else done * unit_s  # a budget is time by the clock
            most_s = max(0.0, until_s - now_s)
            return ProblemTime((took_s + by_units_s) / 2, size / mean if size else 1.0, most_s)

        again_s = {
            name: left_s - (now_s - self._at_work[name].since_s if name in self._at_work else 0.0)
            for name, left_s in self._further_s.items()
        }
        seen = ProblemsSeen(
            [timed(each.s, each.units, each.size) for each in self._over],
            [timed(now_s - each.since_s, each.units, each.size, each.until_s) for each in at_work.values()],
            [size / mean for size in self._sizes.values()] if self._sizes_count else [1.0] * unmet,
            [max(0.0, each_s) for each_s in again_s.values()],
            self._budgeted_s(now_s)
            or (unit_s * mean if self._sizes_count and units > _TELLING * mean * len(at_work) else None),
            self._budget_s is not None,
        )
        return time_left(seen, self._crew)

    def _budgeted_s(self, now_s: float) -> float | None:
        """Return what a problem takes with its time budget: that, and the time on its own data."""
        if self._budget_s is None:
            return None
        own_s = [each.before_budget_s(now_s) for each in self._at_work.values()]
        return self._budget_s + (sum(own_s) / len(own_s) if own_s else 0.0)


@dataclass(slots=True)
class _AtWork:
    since_s: float
    size: int  # planned units; 0: not known
    units: int = 0
    ahead: int = 0  # units planned now
    until_s: float = math.inf  # when its time budget is over
    own_s: float = 0.0  # time on its own data, before it spent the budget; 0: it does not yet

    def before_budget_s(self, now_s: float) -> float:
        """Return the time on its own data, by the plan if that is not over."""
        return self.own_s or (now_s - self.since_s) * (1 + self.ahead / max(1, self.units))


@dataclass(frozen=True, slots=True)
class _Over:
    s: float
    units: int
    size: int


def time_left(seen: ProblemsSeen, crew: Crew) -> Left | None:
    """Return the time until all problems are over, with an interval that holds it nine times of ten.

    None if nothing is known yet. The same problems give the same estimate.
    """
    if not (seen.at_work or seen.to_come or seen.again_s):
        return Left(0.0, 0.0, 0.0)
    if not seen.budgeted and not seen.over and max((each.s for each in seen.at_work), default=0.0) < _SHORTEST_S:
        return None
    rng = random.Random(1)
    pairs, weights = zip(*_likely(seen, rng), strict=True)
    first = crew.at_once / (crew.at_once + len(seen.over))
    cold, pace = (0.0, 0.0) if seen.budgeted else (_COLD * first, _PACE * max(first, _LEAST_FIRST) ** _SLOWLY)
    found = sorted(
        _drawn_s(seen, crew, scale, spread, rng) * math.exp(rng.gauss(-cold, pace))
        for scale, spread in rng.choices(pairs, weights, k=_DRAWS)
    )
    bounded = not (seen.to_come or seen.again_s) and all(each.most_s < math.inf for each in seen.at_work)
    return Left(found[_DRAWS // 2], found[_DRAWS // 20], found[-1 - _DRAWS // 20], bounded)


def _likely(seen: ProblemsSeen, rng: random.Random) -> Iterator[tuple[tuple[float, float], float]]:
    """Yield scales and spreads, as logarithms, and how likely each pair is."""
    over = [each.log for each in seen.over[-_LATEST:]]
    begun = [each.log for each in seen.at_work]
    begun = rng.sample(begun, _LIKE) if len(begun) > _LIKE else begun
    mean = sum(over) / max(1, len(over))
    squares = sum((each - mean) ** 2 for each in over)
    expected = None if seen.expected_s is None else math.log(max(seen.expected_s, _SHORTEST_S))
    known = [*over, *begun, *([] if expected is None or not seen.budgeted else [expected])]
    low, high = min(known) - _BELOW, max(known) + _ABOVE
    sure = seen.budgeted and not over  # a budget is a better plan than units; but problems may not need it
    spreads, plan = (_SPREADS[:_SURE], _BUDGET) if sure else (_SPREADS, _PLAN)
    pairs = list(product([low + (high - low) * n / (_SCALES - 1) for n in range(_SCALES)], spreads))
    logs = [
        (-scale if expected is None else -((scale - expected) ** 2) / (2 * plan**2))
        - len(over) * math.log(spread)
        - (squares + len(over) * (mean - scale) ** 2) / (2 * spread**2)
        + sum(math.log(_later((each - scale) / spread)) for each in begun)
        for scale, spread in pairs
    ]
    most = max(logs)
    return ((pair, math.exp(each - most)) for pair, each in zip(pairs, logs, strict=True))


def _drawn_s(seen: ProblemsSeen, crew: Crew, scale: float, spread: float, rng: random.Random) -> float:
    """Return how long the rest takes, if times have this scale and spread."""
    lanes = [0.0] * max(0, crew.at_once - len(seen.at_work))
    for begun in seen.at_work:
        later = _later((begun.log - scale) / spread) * (1.0 - rng.random())
        whole_s = begun.size * math.exp(scale - spread * _NORMAL.inv_cdf(min(max(later, 1e-300), 1 - 1e-12)))
        lanes.append(min(max(0.0, whole_s - begun.s), begun.most_s))
    heapify(lanes)
    for size in seen.to_come[-_EACH:]:
        heapreplace(lanes, lanes[0] + size * math.exp(rng.gauss(scale, spread)))
    for again_s in seen.again_s:
        heapreplace(lanes, lanes[0] + again_s)
    lanes.sort()
    ends_s = lanes[0] + seen.many / len(lanes) * math.exp(scale + spread**2 / 2)
    for over, (before_s, after_s) in enumerate(pairwise(lanes), 1):
        ends_s += (after_s - before_s) / (1.0 if seen.budgeted else crew.pace(len(lanes) - over))
    return ends_s


def _later(deviations: float) -> float:
    """Return the probability of more than so many standard deviations above the mean; never 0."""
    return max(math.erfc(deviations / math.sqrt(2)) / 2, 1e-300)
