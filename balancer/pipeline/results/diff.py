"""Difference between two runs: problems, cases, kill rates, verdicts.

Decides what counts as the same in both: problems by id, cases by input, submissions by name. Only what both runs have
judged can differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
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

    `case`: its number and origin in the later run. `input`: first 16 hex digits of the SHA-256 of the input.
    """

    problem: str
    submission: str
    case: str
    input: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ProblemChange:
    """What is different about a problem.

    Attributes:
        wrong_killed, wrong_judged: counts before and after.
        cases_gained, cases_lost: cases used in one run only, by number and origin.
        killed_now, survive_now, not_judged_now: wrong submissions that were not so before.
    """

    problem: str
    wrong_killed: tuple[int, int]
    wrong_judged: tuple[int, int]
    cases_gained: tuple[str, ...]
    cases_lost: tuple[str, ...]
    killed_now: tuple[str, ...]
    survive_now: tuple[str, ...]
    not_judged_now: tuple[str, ...]


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
            "changed": list(map(asdict, self.changed)),
            "verdicts": list(map(asdict, self.verdicts)),
            "counts": self.counts,
        }


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
        found.killed[number] += tally.counts["wrong_killed"]
        found.wrong[number] += tally.counts["wrong_judged"]
    earlier, later = _verdicts(before, problem), _verdicts(after, problem)
    gained, lost = (
        tuple(case for data, (case, _) in cases.items() if data not in others)
        for cases, others in ((later, earlier), (earlier, later))
    )
    found.gained += len(gained)
    found.lost += len(lost)
    killed, judged = ((first.counts[name], then.counts[name]) for name in ("wrong_killed", "wrong_judged"))
    figures = (killed, judged)
    if gained or lost or any(one != other for one, other in figures):
        lasting = {*then.survivors, *then.not_judged, *then.left_out}
        names = (
            tuple(name for name in first.survivors if name not in lasting),
            tuple(name for name in then.survivors if name not in first.survivors),
            tuple(name for name in then.not_judged if name not in first.not_judged),
        )
        _add(found, "changed", ProblemChange(problem, *figures, gained, lost, *names))
    for data in sorted(earlier.keys() & later.keys()):
        (_, said), (case, says) = earlier[data], later[data]
        for name in sorted(said.keys() & says.keys()):
            one, other = said[name], says[name]
            if one is not other and Verdict.UNJUDGED not in (one, other):
                _add(found, "verdicts", VerdictChange(problem, name, case, data, one.value, other.value))


def _add(found: Difference, kind: str, what: Any) -> None:
    found.counts[kind] += 1
    if found.counts[kind] <= _MOST:
        getattr(found, kind).append(what)


def _verdicts(store: Store, problem: str) -> Mapping[str, tuple[str, Mapping[str, Verdict]]]:
    """Return input -> the name of its case, and submission -> verdict, for the ready cases."""
    cases = store.of(problem).cases(CaseState.READY)
    inputs = {case.id: sha256(case.data).hexdigest()[:16] for case in cases}
    found: dict[str, tuple[str, dict[str, Verdict]]] = {
        inputs[case.id]: (f"{case.id} ({case.origin.generator}: {case.origin.detail})", {}) for case in cases
    }
    left_out = store.of(problem).left_out
    for (name, case), stored in store.of(problem).verdicts().items():
        if case in inputs and name not in left_out:
            found[inputs[case]][1][name] = stored.verdict
    return found
