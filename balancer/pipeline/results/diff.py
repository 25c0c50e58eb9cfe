"""Difference between two runs: problems, cases, kill rates, verdicts.

Decides what counts as the same in both: problems by id, cases by input, submissions by name. Only what both runs have
judged can differ.
"""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import ProblemTally
from balancer.pipeline.results.store import Store
from balancer.problem import Verdict

__all__ = ["Difference", "ProblemChange", "VerdictChange", "difference"]

_COUNTED = ("only_before", "only_after", "changed", "verdicts")
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
        problems_in_both: their number.
        only_before, only_after: problems in one run only.
        wrong_killed, wrong_judged: wrong submissions of the problems in both: before and after.
        cases_gained, cases_lost: cases used in one run only, of the problems in both.
        changed: problems whose figures differ.
        verdicts: submissions with different verdicts on the same case.
    """

    problems_in_both: int = 0
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    wrong_killed: list[int] = field(default_factory=lambda: [0, 0])
    wrong_judged: list[int] = field(default_factory=lambda: [0, 0])
    cases_gained: int = 0
    cases_lost: int = 0
    changed: list[ProblemChange] = field(default_factory=list)
    verdicts: list[VerdictChange] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))

    @property
    def same(self) -> bool:
        """Whether the runs do not differ."""
        return not any(self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"same": self.same, **asdict(self)}


def difference(before: Store, after: Store) -> Difference:
    """Return the difference. Only one problem is in memory at a time."""
    found = Difference()
    for first in before.problems.settled():
        then = after.problems.tally(first.id)
        if then is None:
            _add(found, "only_before", first.id)
        else:
            _compare(found, first, then, _verdicts(before, first.id), _verdicts(after, first.id))
    for then in after.problems.settled():
        if before.problems.tally(then.id) is None:
            _add(found, "only_after", then.id)
    return found


def _compare(
    found: Difference, first: ProblemTally, then: ProblemTally, earlier: "_Verdicts", later: "_Verdicts"
) -> None:
    found.problems_in_both += 1
    killed, judged = ((first.counts[name], then.counts[name]) for name in ("wrong_killed", "wrong_judged"))
    for number in (0, 1):
        found.wrong_killed[number] += killed[number]
        found.wrong_judged[number] += judged[number]
    gained = tuple(case for data, (case, _) in later.items() if data not in earlier)
    lost = tuple(case for data, (case, _) in earlier.items() if data not in later)
    found.cases_gained += len(gained)
    found.cases_lost += len(lost)
    if gained or lost or killed[0] != killed[1] or judged[0] != judged[1]:
        lasting = {*then.survivors, *then.not_judged, *then.left_out}
        names = (
            tuple(name for name in first.survivors if name not in lasting),
            tuple(name for name in then.survivors if name not in first.survivors),
            tuple(name for name in then.not_judged if name not in first.not_judged),
        )
        _add(found, "changed", ProblemChange(first.id, killed, judged, gained, lost, *names))
    for data in sorted(earlier.keys() & later.keys()):
        (_, said), (case, says) = earlier[data], later[data]
        for name in sorted(said.keys() & says.keys()):
            one, other = said[name], says[name]
            if one is not other and Verdict.UNJUDGED not in (one, other):
                _add(found, "verdicts", VerdictChange(first.id, name, case, data, one.value, other.value))


def _add(found: Difference, kind: str, what: Any) -> None:
    found.counts[kind] += 1
    if found.counts[kind] <= _MOST:
        getattr(found, kind).append(what)


_Verdicts = dict[str, tuple[str, dict[str, Verdict]]]  # input -> the name of its case, and submission -> verdict


def _verdicts(store: Store, problem: str) -> _Verdicts:
    """Return the verdicts on the ready cases."""
    log = store.of(problem)
    by_case: dict[int, tuple[str, dict[str, Verdict]]] = {
        case.id: (f"{case.id} ({case.origin.generator}: {case.origin.detail})", {})
        for case in log.cases(CaseState.READY)
    }
    for (name, case), stored in log.verdicts().items():
        if case in by_case and name not in log.left_out:
            by_case[case][1][name] = stored.verdict
    return {sha256(log.case(case).data).hexdigest()[:16]: found for case, found in by_case.items()}
