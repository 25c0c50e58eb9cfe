"""Figures of a problem, and totals of many: small enough to be kept for many thousand problems. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from balancer.pipeline.results.missing_languages import cost_of_missing

__all__ = ["ProblemTally", "RoundHistory", "Totals", "totals_of"]

_MOST_REASONS = 50  # distinct reasons; the others count as one
_MOST_IDLE = 10
_MOST_TROUBLES = 10
_OTHERS = "other reasons"
_RATED = (
    "cases", "cases_kept", "accepted", "accepted_judged", "accepted_kept", "wrong", "wrong_judged", "wrong_killed",
    "wrong_killed_before",
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class ProblemTally:
    """Figures of a problem; counts are as in `ProblemResult`.

    Attributes:
        id: of the problem.
        judged, unjudged: verdicts.
        rejected: accepted submissions that a case rejects.
        disagreements: on contested cases.
        survivors, not_judged: names.
        left_out, notes, reasons, troubles: as in `ProblemResult`.
        abstaining: accepted submissions that abstain on a case.
        unasked: cases that kill on which an accepted submission did not run.
        no_validator: 1 if the problem has no input validator.
        course: its history.
        limit_s: CPU seconds of a run; 0: not known.
    """

    id: str
    cases: int
    cases_kept: int
    accepted: int
    accepted_judged: int
    accepted_kept: int
    wrong: int
    wrong_judged: int
    wrong_killed: int
    wrong_killed_before: int
    judged: int
    unjudged: int
    rejected: int
    contested: int
    invalid: int
    disagreements: int
    survivors: tuple[str, ...]
    not_judged: tuple[str, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    reasons: Mapping[str, int]
    course: RoundHistory
    limit_s: float = 0.0
    unchecked: int = 0
    troubles: tuple[str, ...] = ()
    accepted_left_out: int = 0
    wrong_left_out: int = 0
    abstaining: int = 0
    unasked: int = 0
    no_validator: int = 0

    def summary(self) -> dict[str, Any]:
        """Return the problem's part of `summary.json`."""
        return {
            "problem": self.id,
            **{name: getattr(self, name) for name in (*_RATED, "unjudged")},
            "survivors": list(self.survivors),
            "not_judged": list(self.not_judged),
            "contested": self.contested,
            "troubles": list(self.troubles),
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class Totals:
    """Totals of many problems. Attributes not named here are sums over `ProblemTally`.

    Attributes:
        problems: number of problems.
        not_judged: number of submissions.
        surviving: problems with a survivor.
        idle: problems without a case that counts; `idle_named`: the first few of them.
        troubles: number of troubles; `troubles_told`: the first few, with their problem.
        reasons: why something is unjudged -> how often, the most frequent first.
        courses: history -> number of problems with it.
        missing: language that no endpoint runs -> submissions left out; `missing_in`: number of problems.
    """

    problems: int = 0
    cases: int = 0
    cases_kept: int = 0
    accepted: int = 0
    accepted_judged: int = 0
    accepted_kept: int = 0
    wrong: int = 0
    wrong_judged: int = 0
    wrong_killed: int = 0
    wrong_killed_before: int = 0
    judged: int = 0
    unjudged: int = 0
    rejected: int = 0
    contested: int = 0
    invalid: int = 0
    disagreements: int = 0
    survivors: int = 0
    not_judged: int = 0
    surviving: int = 0
    idle: int = 0
    idle_named: list[str] = field(default_factory=list)
    unchecked: int = 0
    accepted_left_out: int = 0
    wrong_left_out: int = 0
    abstaining: int = 0
    unasked: int = 0
    no_validator: int = 0
    troubles: int = 0
    troubles_told: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    courses: Counter[RoundHistory] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    missing_in: Counter[str] = field(default_factory=Counter)

    def add(self, tally: ProblemTally) -> None:
        """Add one more problem."""
        self.problems += 1
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(tally, name))
        self.survivors += len(tally.survivors)
        self.not_judged += len(tally.not_judged)
        self.surviving += bool(tally.survivors)
        self.courses[tally.course] += 1
        cost = cost_of_missing(tally.left_out)
        self.missing.update(cost)
        self.missing_in.update(cost.keys())
        self.troubles += len(tally.troubles)
        room = max(0, _MOST_TROUBLES - len(self.troubles_told))
        self.troubles_told += [f"{tally.id}: {line}" for line in tally.troubles[:room]]
        if not tally.cases:
            self.idle += 1
            if len(self.idle_named) < _MOST_IDLE:
                self.idle_named.append(tally.id)
        for reason, times in tally.reasons.items():
            known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
            self.reasons[reason if known else _OTHERS] += times


_SUMS = tuple(each.name for each in fields(ProblemTally) if each.type is int)


def totals_of(tallies: Iterable[ProblemTally]) -> Totals:
    found = Totals()
    for tally in tallies:
        found.add(tally)
    return found
