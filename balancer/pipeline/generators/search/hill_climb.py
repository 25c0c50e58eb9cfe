"""Hill climbing on CPU time: from large inputs to those on which a surviving submission takes longest.

Decides where to start, which survivor is climbed for, and when it is no use. What is measured is the survivor's own CPU
time, within the problem's limits; the reference solution must stay well below. An input is a find once a survivor
passes the limit on it, or gives another answer. It is proposed by times, so no two runs climb in quite the same way.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

from balancer.judging.verdict import judge_end
from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.styles import large_styles
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.search.differences import Find, MadeInput, SearchBudget, confirmed
from balancer.pipeline.generators.search.steps import Step, Steps
from balancer.pipeline.generators.write.build import build
from balancer.pipeline.proposing.toolbox import Comparer
from balancer.problem import Submission
from balancer.program import Status

__all__ = ["HillClimb"]

_STARTS, _KNOWN_STARTS = 12, 6  # inputs to start from: made up, and known
_MOST_REFUSED = 6  # in a row, before no more are made up: a relation is not known
_TAKEN, _MEASURED = 12, 4  # steps that are taken at once, and valid ones of them that are measured
_KEPT = 3  # inputs that are climbed from, for each survivor
_WELL_WITHIN = 1 / 1.2  # of the limit: what the reference solution may take
_FAST = 0.05  # of the limit: below that times say little, and the larger input is the better one
_PATIENCE, _HOPE = 40, 200  # inputs that made a survivor no slower, before it is given up: a fast one, a slow one
_DETAIL = 120  # characters


@dataclass(slots=True)
class _Slope:
    """Where a survivor is slowest so far: (part of the limit, what was done, the input), the slowest first."""

    survivor: Submission
    best: list[tuple[float, str, bytes]] = field(default_factory=list)
    idle: int = 0

    def add(self, share: float, step: Step) -> None:
        before = self.best[0] if self.best else None
        self.best.append((share, step.detail[-_DETAIL:], step.data))
        self.best.sort(key=lambda place: (-max(place[0], _FAST), -len(place[2])))
        del self.best[_KEPT:]
        self.idle = self.idle + 1 if self.best[0] is before else 0

    def lend(self, step: Step) -> None:
        """Climb from another's larger input as well, as long as nothing is slow yet."""
        if self.share < _FAST and all(len(step.data) > len(place[2]) for place in self.best):
            self.add(0.0, step)

    @property
    def hopeless(self) -> bool:
        return not self.best or self.idle >= (_PATIENCE if self.share < _FAST else _HOPE)

    @property
    def share(self) -> float:
        return self.best[0][0] if self.best else 0.0


class HillClimb:
    """The climb on one problem, over all its rounds.

    Args:
        found: what is known of its inputs.
        comparer: measures.
        known: the inputs that took longest so far, the slowest first.
        rng: for all that is left to chance.
    """

    def __init__(self, found: Knowledge, comparer: Comparer, known: Sequence[bytes], rng: random.Random) -> None:
        self._comparer = comparer
        self._rng = rng
        self._seen: set[bytes] = set()
        self._refused = 0  # of the made-up inputs to start from, in a row
        self._starts = _starts(found, known[:_KNOWN_STARTS], rng)
        self._steps = Steps(found, rng)
        self._slopes: dict[str, _Slope] = {}

    def finds(self, survivors: Iterable[Submission], allowance: SearchBudget) -> Iterator[Find]:
        """Yield finds until each survivor has one, none gets any slower, or the allowance is used up."""
        left = {survivor.name: survivor for survivor in survivors}
        for name, survivor in left.items():
            self._slopes.setdefault(name, _Slope(survivor)).idle = 0
        while left and allowance.left and self._comparer.accepted:
            made, names = self._next(left)
            if not names:
                return
            for each in self._tried(made, [left[name] for name in names], allowance):
                found = tuple(name for name in each.names if left.pop(name, None))
                if found:
                    yield Find(each.made, found)

    def _next(self, left: Mapping[str, Submission]) -> tuple[list[Step], list[str]]:
        """Return the next inputs, and the names of the survivors that they are for; no names: it is no use."""
        more = _MEASURED if self._refused < _MOST_REFUSED else 0
        starts = [step for step in islice(self._starts, more) if self._is_new(step)]
        if starts:
            return starts, list(left)
        slopes = [self._slopes[name] for name in left if not self._slopes[name].hopeless]
        if not slopes:
            return [], []
        (slope,) = self._rng.choices(slopes, [_FAST + each.share for each in slopes])
        _, before, base = self._rng.choices(slope.best, range(len(slope.best), 0, -1))[0]
        others = [place[2] for each in slopes for place in each.best]
        steps = self._steps.take(base, others, _TAKEN)
        slope.idle += 1
        named = [replace(step, detail=f"{before}; {step.detail}") for step in steps if self._is_new(step)]
        return named, [slope.survivor.name]

    def _is_new(self, step: Step) -> bool:
        is_new = step.data not in self._seen
        self._seen.add(step.data)
        return is_new

    def _tried(self, made: Sequence[Step], survivors: Sequence[Submission], allowance: SearchBudget) -> list[Find]:
        """Measure what is valid of what was made, some at a time, and return what was found."""
        says = self._comparer.valid([step.data for step in made])
        for step, valid in zip(made, says, strict=True):
            self._steps.heard(step, valid=valid is True)
            if step.kind == "made up":
                self._refused = 0 if valid else self._refused + 1
        chosen = [step for step, valid in zip(made, says, strict=True) if valid][:_MEASURED]
        measured: list[_Measured] = []

        def act(step: Step) -> None:
            if allowance.left:
                measured.append(self._measured(step, survivors))

        self._comparer.each(act, chosen)
        for each in measured:
            for name, share in each.shares.items():
                self._slopes[name].add(share, each.step)
            for slope in self._slopes.values() if each.shares else ():
                slope.lend(each.step)
        return [
            Find(MadeInput("slow", each.step.detail, each.step.data), each.names) for each in measured if each.names
        ]

    def _measured(self, step: Step, survivors: Sequence[Submission]) -> "_Measured":
        comparer, limit_s, data = self._comparer, self._comparer.limit_s, step.data
        right = comparer.measured(comparer.accepted[0], data)
        if right is None or judge_end(right) is not None or right.time_s > _WELL_WITHIN * limit_s:
            return _Measured(step, {}, ())
        shares, failed = {}, []
        for survivor in survivors:
            ran = comparer.measured(survivor, data)
            if ran is None:
                continue
            slow = ran.status is Status.TIME_LIMIT
            shares[survivor.name] = 1.0 if slow else min(ran.time_s / limit_s, 1.0)
            if slow or comparer.right([(data, ran, right.stdout)])[0] is False:
                failed.append(survivor)
        return _Measured(step, shares, confirmed(comparer, data, right.stdout, failed) if failed else ())


@dataclass(frozen=True, slots=True)
class _Measured:
    """What came of an input: the part of the limit that survivors took, and the names of those that failed."""

    step: Step
    shares: Mapping[str, float]
    names: tuple[str, ...]


def _starts(found: Knowledge, known: Sequence[bytes], rng: random.Random) -> Iterator[Step]:
    """Yield the inputs that are begun with: those that took longest, and the largest that can be made up."""
    yield from (Step("known", "known", data) for data in known)
    for style in islice(large_styles(rng), _STARTS):
        with suppress(TooLarge):
            yield Step("made up", style.name, build(found, {}, Fill(found, style, rng)))
