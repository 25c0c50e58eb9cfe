"""Difference between two runs: problems, cases, kill rates, verdicts.

Decides what counts as the same in both: problems by id, cases by input, submissions by name. Only what both runs have
judged can differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from balancer.pipeline.results.problem_result import CaseState
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.tally import ProblemTally
from balancer.problem import Verdict

__all__ = ["Difference", "ProblemChange", "VerdictChange", "difference"]

_MOST = 1000  # names of each kind; the counts cover all


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A submission with different verdicts on the same case.

    `input`: first 16 hex digits of the SHA-256 of the input.
    """

    problem: str
    submission: str
    input: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ProblemChange:
    """The figures of a problem in both runs: wrong submissions killed and judged, and cases used."""

    problem: str
    killed: tuple[int, int]
    wrong: tuple[int, int]
    gained: int
    lost: int


@dataclass(slots=True)
class Difference:
    """Differences between a run and a later one. Lists are cut; counts are complete.

    Attributes:
        only_before, only_after: problems in one run only.
        both: problems in both runs.
        killed, wrong: wrong submissions killed, and judged, of the problems in both: before and after.
        gained, lost: cases used in one run only, of the problems in both.
        changed: problems whose figures differ.
        verdicts: submissions with different verdicts on the same case.
    """

    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    both: int = 0
    killed: list[int] = field(default_factory=lambda: [0, 0])
    wrong: list[int] = field(default_factory=lambda: [0, 0])
    gained: int = 0
    lost: int = 0
    changed: list[ProblemChange] = field(default_factory=list)
    verdicts: list[VerdictChange] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("only_before", "only_after", "changed", "verdicts"), 0)
    )

    @property
    def same(self) -> bool:
        """Whether the runs do not differ."""
        return not any(self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "same": self.same,
            "problems_in_both": self.both,
            "only_before": self.only_before,
            "only_after": self.only_after,
            "wrong_killed": self.killed,
            "wrong_judged": self.wrong,
            "cases_gained": self.gained,
            "cases_lost": self.lost,
            "changed": [
                {"problem": c.problem, "wrong_killed": list(c.killed), "wrong_judged": list(c.wrong),
                 "cases_gained": c.gained, "cases_lost": c.lost}
                for c in self.changed
            ],
            "verdicts": [
                {"problem": v.problem, "submission": v.submission, "input": v.input, "before": v.before,
                 "after": v.after}
                for v in self.verdicts
            ],
            "counts": self.counts,
        }  # fmt: skip


def difference(before: Store, after: Store) -> Difference:
    """Return the difference. Only one problem is in memory at a time."""
    found = Difference()
    for tally in _tallies(before):
        then = after.problems.tally(tally.id)
        if then is None:
            _add(found, "only_before", tally.id)
        else:
            _compare(found, before, after, tally, then)
    for tally in _tallies(after):
        if before.problems.tally(tally.id) is None:
            _add(found, "only_after", tally.id)
    return found


def _tallies(store: Store) -> Iterator[ProblemTally]:
    return (each.tally for each in store.problems.settled())


def _compare(found: Difference, before: Store, after: Store, first: ProblemTally, then: ProblemTally) -> None:
    problem = first.id
    found.both += 1
    for number, tally in enumerate((first, then)):
        found.killed[number] += tally.wrong_killed
        found.wrong[number] += tally.wrong_judged
    earlier, later = _verdicts(before, problem), _verdicts(after, problem)
    gained, lost = len(later.keys() - earlier.keys()), len(earlier.keys() - later.keys())
    found.gained += gained
    found.lost += lost
    figures = ((first.wrong_killed, then.wrong_killed), (first.wrong_judged, then.wrong_judged))
    if gained or lost or any(one != other for one, other in figures):
        _add(found, "changed", ProblemChange(problem, *figures, gained, lost))
    for data in sorted(earlier.keys() & later.keys()):
        for name in sorted(earlier[data].keys() & later[data].keys()):
            one, other = earlier[data][name], later[data][name]
            if one is not other and Verdict.UNJUDGED not in (one, other):
                _add(found, "verdicts", VerdictChange(problem, name, data, one.value, other.value))


def _add(found: Difference, kind: str, what: Any) -> None:
    found.counts[kind] += 1
    if found.counts[kind] <= _MOST:
        getattr(found, kind).append(what)


def _verdicts(store: Store, problem: str) -> Mapping[str, Mapping[str, Verdict]]:
    """Return input -> submission -> verdict, for the ready cases."""
    inputs = {case.id: sha256(case.data).hexdigest()[:16] for case in store.cases(problem, CaseState.READY)}
    found: dict[str, dict[str, Verdict]] = {data: {} for data in inputs.values()}
    left_out = store.left_out(problem)
    for (name, case), stored in store.verdicts(problem).items():
        if case in inputs and name not in left_out:
            found[inputs[case]][name] = stored.verdict
    return found
