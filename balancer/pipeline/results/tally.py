"""Figures of a problem, totals of many, and the rates after each round. Pure.

The counts are told once, in `ProblemResult.counts`. All here is small enough to be kept for many thousand problems.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Self

__all__ = [
    "GeneratorYield",
    "ModelUsage",
    "ProblemTally",
    "RoundHistory",
    "RoundScores",
    "Totals",
    "cost_of_missing",
    "left_out_for",
    "left_out_of_row",
    "scores_of",
    "totals_of",
    "why_left_out",
]

_MOST_REASONS = 50  # distinct reasons; the others count as one
_MOST_IDLE = 10
_MOST_TROUBLES = 10
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class RoundHistory:
    """History of a problem: with its own data alone, then after each round.

    Attributes:
        accepted, wrong: submissions of each kind that were judged in the end.
        whole: whether those were all, and there are some of each.
        kept: accepted ones that no case rejects, at each of these times.
        killed: wrong ones that a case rejects, at each of these times.
    """

    accepted: int
    wrong: int
    whole: bool
    kept: tuple[int, ...]
    killed: tuple[int, ...]

    def at(self, time: int) -> tuple[int, int]:
        """Return the numbers kept and killed at `time`; after its end, a problem keeps its last numbers."""
        last = min(time, len(self.kept) - 1)
        return self.kept[last], self.killed[last]


@dataclass(slots=True)
class GeneratorYield:
    """The yield of one generator.

    Attributes:
        generator: its name; "shrink" for cases that were made smaller.
        proposed: inputs that were stored; `valid`: those that the validators accept; `cases`: those that are used.
        kills: pairs of one of its cases and a wrong submission that the case rejects.
        first_kills: wrong submissions that one of its cases rejected first.
        asked_s: seconds spent asking it; `run_s`: seconds of program runs on its inputs.
        cpu_s: CPU seconds of the programs that it ran, and of the submissions on its inputs.
    """

    generator: str
    proposed: int = 0
    valid: int = 0
    cases: int = 0
    kills: int = 0
    first_kills: int = 0
    asked_s: float = 0.0
    run_s: float = 0.0
    cpu_s: float = 0.0

    def plus(self, other: Self) -> Self:
        """Return the yield of both together."""
        name, *mine = astuple(self)
        return type(self)(name, *map(sum, zip(mine, astuple(other)[1:], strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ProblemTally:
    """Figures of a problem.

    Attributes:
        id: of the problem.
        counts, left_out, notes, reasons, troubles: as in `ProblemResult`.
        survivors, not_judged: names.
        course: its history.
        limit_s: CPU seconds of a run; 0: not known.
        brought: the yield of each generator.
    """

    id: str
    counts: Mapping[str, int]
    survivors: tuple[str, ...]
    not_judged: tuple[str, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    reasons: Mapping[str, int]
    troubles: tuple[str, ...]
    course: RoundHistory
    limit_s: float = 0.0
    brought: tuple[GeneratorYield, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return the problem's part of `summary.json`."""
        told = {name: list(getattr(self, name)) for name in ("survivors", "not_judged", "troubles", "notes")}
        return {"problem": self.id, "counts": dict(self.counts), **told, "left_out": dict(self.left_out)}


@dataclass(slots=True)
class Totals:
    """Totals of many problems.

    Attributes:
        problems: number of problems.
        counts: sums of their counts, by name; 0 for any other name.
        surviving: problems with a survivor.
        idle: problems without a case that counts; `idle_named`: the first few of them.
        troubles: number of troubles; `troubles_told`: the first few, with their problem.
        reasons: why something is unjudged -> how often, the most frequent first.
        courses: history -> number of problems with it.
        brought: generator -> its yield.
        missing: language that no endpoint runs -> submissions left out; `missing_in`: number of problems.
    """

    problems: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    surviving: int = 0
    idle: int = 0
    idle_named: list[str] = field(default_factory=list)
    troubles: int = 0
    troubles_told: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    courses: Counter[RoundHistory] = field(default_factory=Counter)
    brought: dict[str, GeneratorYield] = field(default_factory=dict, compare=False)
    missing: Counter[str] = field(default_factory=Counter)
    missing_in: Counter[str] = field(default_factory=Counter)

    def add(self, tally: ProblemTally) -> None:
        """Add one more problem."""
        self.problems += 1
        self.counts.update(tally.counts)
        self.surviving += bool(tally.survivors)
        self.courses[tally.course] += 1
        for each in tally.brought:
            before = self.brought.get(each.generator)
            self.brought[each.generator] = before.plus(each) if before else each
        cost = cost_of_missing(tally.left_out)
        self.missing.update(cost)
        self.missing_in.update(cost.keys())
        self.troubles += len(tally.troubles)
        room = max(0, _MOST_TROUBLES - len(self.troubles_told))
        self.troubles_told += [f"{tally.id}: {line}" for line in tally.troubles[:room]]
        if not tally.counts["cases"]:
            self.idle += 1
            if len(self.idle_named) < _MOST_IDLE:
                self.idle_named.append(tally.id)
        for reason, times in tally.reasons.items():
            known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
            self.reasons[reason if known else _OTHERS] += times


def totals_of(tallies: Iterable[ProblemTally]) -> Totals:
    found = Totals()
    for tally in tallies:
        found.add(tally)
    return found


# -- rates after each round ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a round used of a model: answers, tokens of questions and answers, seconds of waiting."""

    questions: int = 0
    asked: int = 0
    answered: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundScores:
    """The rates at one time: with the problems' own data alone, or after a round. None: the denominator is 0.

    Attributes:
        rounds: number of finished rounds; 0: own data alone.
        tpr, tnr: share of accepted submissions kept, and of wrong ones rejected, over all problems.
        accuracy: share of problems whose cases keep every accepted submission and reject every wrong one.
        spent: on a model, in the last of these rounds.
    """

    rounds: int
    tpr: float | None
    tnr: float | None
    accuracy: float | None
    spent: ModelUsage = ModelUsage()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def scores_of(
    courses: Mapping[RoundHistory, int], spent: Mapping[int, ModelUsage] | None = None
) -> tuple[RoundScores, ...]:
    """Return the rates with own data alone, then after each round.

    Args:
        courses: history -> number of problems with it.
        spent: round, from 0 -> what it used of a model.
    """
    times = max((len(course.kept) for course in courses), default=0)
    return tuple(_scores(courses, time, (spent or {}).get(time - 1, ModelUsage())) for time in range(times))


def _scores(courses: Mapping[RoundHistory, int], time: int, spent: ModelUsage) -> RoundScores:
    sums: Counter[str] = Counter()
    for course, many in courses.items():
        kept, killed = course.at(time)
        right = course.whole and kept == course.accepted and killed == course.wrong
        sums["kept"] += many * kept
        sums["accepted"] += many * course.accepted
        sums["killed"] += many * killed
        sums["wrong"] += many * course.wrong
        sums["right"] += many * right
        sums["whole"] += many * course.whole

    def rate(part: str, whole: str) -> float | None:
        return sums[part] / sums[whole] if sums[whole] else None

    return RoundScores(time, rate("kept", "accepted"), rate("killed", "wrong"), rate("right", "whole"), spent)


# -- languages that no endpoint runs: the text that is stored for what is left out ----------------------


_WHY = re.compile(r"no endpoint runs ([^()]+)")  # for a validator, the text also names the known languages
_OF_ROW = re.compile(r"(\d+) in (.+)")


def why_left_out(language: str) -> str:
    """Return why a submission in `language` is left out."""
    return f"no endpoint runs {language}"


def left_out_of_row(lost: Mapping[str, int]) -> dict[str, str]:
    """Return what is left out of a row of a data set, and why. Its submissions have no names, so they are counted."""
    return {f"{many} in {language}": why_left_out(language) for language, many in sorted(lost.items())}


def left_out_for(why: str) -> str:
    """Return the language that a submission was left out for; "" for another reason, or for a validator."""
    found = _WHY.fullmatch(why)
    return found[1] if found else ""


def cost_of_missing(left_out: Mapping[str, str]) -> Counter[str]:
    """Return the number of submissions of a problem left out for each missing language.

    Args:
        left_out: subject -> why, as in `ProblemResult`.
    """
    cost: Counter[str] = Counter()
    for subject, why in left_out.items():
        if language := left_out_for(why):
            of_row = _OF_ROW.fullmatch(subject)
            cost[language] += int(of_row[1]) if of_row and of_row[2] == language else 1
    return cost
