"""What a run found, as plain data: the one thing that reports are made from.

The words "kept", "killed", "before", "after" and "not judged" get their meaning here, and a makespan its bound. Pure:
a record knows no file, database or thread, and not how a report looks.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from balancer.core.metrics import PoolStats
from balancer.problem import Origin, Verdict

__all__ = ["CaseResult", "CaseState", "Disagreement", "ProblemResult", "RunResult", "Span", "Stage", "SubmissionResult"]


class Stage(Enum):
    """Which part of the pipeline a program run belongs to, in the order a case goes through them."""

    GENERATE = "generate"  # a generator's own programs
    VALIDATE_INPUT = "validate_input"
    REFERENCE = "reference"
    AGREE = "agree"  # the other accepted submissions
    VALIDATE_SOLUTION = "validate_solution"  # the wrong ones


class CaseState(Enum):
    """What became of a proposed input."""

    PROPOSED = "proposed"  # not yet checked
    INVALID = "invalid"  # an input validator refused it
    SPARE = "spare"  # valid, but there were enough before it
    VALID = "valid"  # has no expected output yet
    CONTESTED = "contested"  # the accepted submissions disagree on it: not used, but reported
    READY = "ready"  # has an expected output that all accepted submissions agree with
    UNJUDGED = "unjudged"  # the infrastructure failed before that was known
    REPLACED = "replaced"  # it was ready, but rejects nobody, and a later round has brought others


@dataclass(frozen=True, slots=True)
class Span:
    """One lease: which program ran where and when.

    Attributes:
        endpoint: its name.
        problem, stage, subject: what ran; `subject` is a submission or validator.
        case: the case's id in its problem.
        started_s, ended_s: seconds since the session began.
        outcome: value of the lease's `Outcome`.
    """

    endpoint: str
    problem: str
    stage: Stage
    subject: str
    case: int
    started_s: float
    ended_s: float
    outcome: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A valid case and where it came from."""

    id: int
    origin: Origin
    sample: bool  # the problem's own data: what was there before
    state: CaseState
    size: int  # bytes of input


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case on which an accepted submission does not agree with the expected output."""

    case: int
    origin: Origin
    submission: str
    verdict: Verdict
    note: str


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """One submission's verdicts.

    Attributes:
        name, accepted, expected: as in the package.
        verdicts: case id -> verdict, for the cases that are ready.
        times_s: case id -> seconds.
    """

    name: str
    accepted: bool
    expected: str
    verdicts: Mapping[int, Verdict]
    times_s: Mapping[int, float] = field(default_factory=dict)

    def killed_by(self, cases: Iterable[CaseResult]) -> list[int]:
        """Return the ids of those `cases` on which this submission ran and was not accepted."""
        return [c.id for c in cases if c.id in self.verdicts and self.verdicts[c.id].kills]

    def judged_on(self, cases: Collection[CaseResult]) -> bool:
        """Return whether there are `cases`, and a verdict that says something on each of them."""
        unknown = (None, Verdict.UNJUDGED)
        return bool(cases) and all(self.verdicts.get(case.id) not in unknown for case in cases)

    @property
    def compiles(self) -> bool:
        """False if it could not be compiled: then no case says anything about it."""
        return Verdict.COMPILE_ERROR not in self.verdicts.values()


@dataclass(frozen=True, slots=True)
class ProblemResult:
    """What a run found out about one problem.

    Attributes:
        id, name: as in the package.
        cases: the valid ones, by id; sample data first.
        submissions: accepted ones first, in the package's order; only those that compile count.
        disagreements: contested cases.
        invalid: proposals that an input validator refused.
        left_out: submission or validator -> why it was not used.
        notes: anything else a person should know, one line each.
        reasons: why something is unjudged -> how often.
    """

    id: str
    name: str
    cases: tuple[CaseResult, ...]
    submissions: tuple[SubmissionResult, ...]
    disagreements: tuple[Disagreement, ...] = ()
    invalid: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> tuple[CaseResult, ...]:
        """The cases submissions are judged on."""
        return tuple(c for c in self.cases if c.state is CaseState.READY)

    @property
    def before(self) -> tuple[CaseResult, ...]:
        """Those of them that were the problem's own data."""
        return tuple(c for c in self.ready if c.sample)

    @property
    def accepted(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that count."""
        return tuple(s for s in self.submissions if s.accepted and s.compiles)

    @property
    def wrong(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that count."""
        return tuple(s for s in self.submissions if not s.accepted and s.compiles)

    @property
    def kept(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that were judged on every case and that none kills."""
        return tuple(s for s in self.accepted if self._passes(s))

    @property
    def rejected(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that some case kills."""
        return tuple(s for s in self.accepted if s.killed_by(self.ready))

    @property
    def killed(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that some case kills."""
        return tuple(s for s in self.wrong if s.killed_by(self.ready))

    @property
    def killed_before(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that the problem's own data kills."""
        return tuple(s for s in self.wrong if s.killed_by(self.before))

    @property
    def survivors(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that were judged on every case and that none kills."""
        return tuple(s for s in self.wrong if self._passes(s))

    @property
    def accepted_judged(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions of which it is known whether some case kills them."""
        return tuple(s for s in self.accepted if self._is_judged(s))

    @property
    def wrong_judged(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions of which it is known whether some case kills them."""
        return tuple(s for s in self.wrong if self._is_judged(s))

    @property
    def not_judged(self) -> tuple[SubmissionResult, ...]:
        """Submissions that no case kills so far, and that were not judged on every case, or there is no case."""
        return tuple(s for s in (*self.accepted, *self.wrong) if not self._is_judged(s))

    @property
    def killers(self) -> tuple[CaseResult, ...]:
        """The cases worth keeping: those that kill a wrong submission."""
        killing = {case for s in self.wrong for case in s.killed_by(self.ready)}
        return tuple(c for c in self.ready if c.id in killing)

    @property
    def judged(self) -> int:
        """Verdicts on submissions that say something."""
        return sum(v is not Verdict.UNJUDGED for s in self.submissions for v in s.verdicts.values())

    @property
    def unjudged(self) -> int:
        """Verdicts that the infrastructure prevented, whole cases included."""
        lost = sum(c.state is CaseState.UNJUDGED for c in self.cases)
        return lost + sum(v is Verdict.UNJUDGED for s in self.submissions for v in s.verdicts.values())

    def _passes(self, submission: SubmissionResult) -> bool:
        return submission.judged_on(self.ready) and not submission.killed_by(self.ready)

    def _is_judged(self, submission: SubmissionResult) -> bool:
        return submission.judged_on(self.ready) or bool(submission.killed_by(self.ready))


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run.

    Attributes:
        problems: by id.
        pool: the pool's counters at the end of the last session that ran programs.
        slots: leases the pool could have out at once in that session, host caps included.
        makespan_s: how long that session ran programs, from the first lease to the last.
        spans: its leases.
        strategy: the strategy's name.
        complete: False if it was stopped before everything was judged, or judged nothing at all.
        sessions: how many sessions it took (1: never resumed).
        stopped_by: number of the signal that stopped this session; 0: none did.
    """

    problems: tuple[ProblemResult, ...]
    pool: PoolStats
    slots: int
    makespan_s: float
    spans: tuple[Span, ...]
    strategy: str
    complete: bool = True
    sessions: int = 1
    stopped_by: int = 0

    @property
    def judged(self) -> int:
        """Verdicts on ready cases that say something."""
        return sum(problem.judged for problem in self.problems)

    @property
    def reasons(self) -> dict[str, int]:
        """Why something is unjudged, and how often, the most frequent first."""
        found: Counter[str] = Counter()
        for problem in self.problems:
            found.update(problem.reasons)
        return dict(found.most_common())

    @property
    def bound_s(self) -> float:
        """No schedule could have been shorter: max(total work / slots, longest chain)."""
        work_s = sum(s.ended_s - s.started_s for s in self.spans)
        return max(work_s / self.slots if self.slots else 0.0, longest_chain_s(self.spans))

    @property
    def utilisation(self) -> float:
        """Part of the slot-seconds of the makespan that were leased, 0..1."""
        offered_s = self.slots * self.makespan_s
        return sum(s.ended_s - s.started_s for s in self.spans) / offered_s if offered_s else 0.0

    def summary(self) -> dict[str, Any]:
        """Return what `summary.json` holds. Rates are 0..1, over what was judged; see `rate`."""
        accepted = sum(len(p.accepted) for p in self.problems)
        accepted_judged = sum(len(p.accepted_judged) for p in self.problems)
        wrong = sum(len(p.wrong) for p in self.problems)
        wrong_judged = sum(len(p.wrong_judged) for p in self.problems)
        kept = sum(len(p.kept) for p in self.problems)
        killed = sum(len(p.killed) for p in self.problems)
        killed_before = sum(len(p.killed_before) for p in self.problems)
        return {
            "problems": len(self.problems),
            "cases": sum(len(p.ready) for p in self.problems),
            "judged": self.judged,
            "unjudged": sum(p.unjudged for p in self.problems),
            "makespan_s": self.makespan_s,
            "bound_s": self.bound_s,
            "utilisation": self.utilisation,
            "accepted_kept": rate(kept, accepted_judged, accepted),
            "wrong_killed": rate(killed, wrong_judged, wrong),
            "wrong_killed_before": rate(killed_before, wrong_judged, wrong),
            "survivors": [f"{p.id}/{s.name}" for p in self.problems for s in p.survivors],
            "not_judged": [f"{p.id}/{s.name}" for p in self.problems for s in p.not_judged],
            "strategy": self.strategy,
            "complete": self.complete,
            "sessions": self.sessions,
            "counts": {
                "accepted": accepted,
                "accepted_judged": accepted_judged,
                "accepted_kept": kept,
                "wrong": wrong,
                "wrong_judged": wrong_judged,
                "wrong_killed": killed,
                "wrong_killed_before": killed_before,
                "cases_kept": sum(len(p.killers) for p in self.problems),
                "contested": sum(c.state is CaseState.CONTESTED for p in self.problems for c in p.cases),
                "invalid_inputs": sum(p.invalid for p in self.problems),
            },
            "per_problem": [_problem_summary(p) for p in self.problems],
            "pool": self.pool.to_dict(),
        }


def rate(part: int, judged: int, whole: int) -> float | None:
    """Return part / judged; None if none of the `whole` was judged, and 1 if there is nothing to be judged."""
    if not whole:
        return 1.0
    return part / judged if judged else None


def longest_chain_s(spans: Iterable[Span]) -> float:
    """Return the longest time that one case needs: its stages one after the other, each as long as its slowest run."""
    runs: dict[tuple[str, int], dict[Stage, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    for span in spans:
        runs[span.problem, span.case][span.stage][span.subject] += span.ended_s - span.started_s
    return max(
        (sum(max(by_subject.values()) for by_subject in stages.values()) for stages in runs.values()), default=0.0
    )


def _problem_summary(problem: ProblemResult) -> dict[str, Any]:
    return {
        "problem": problem.id,
        "cases": len(problem.ready),
        "cases_kept": len(problem.killers),
        "accepted": len(problem.accepted),
        "accepted_judged": len(problem.accepted_judged),
        "accepted_kept": len(problem.kept),
        "wrong": len(problem.wrong),
        "wrong_judged": len(problem.wrong_judged),
        "wrong_killed": len(problem.killed),
        "wrong_killed_before": len(problem.killed_before),
        "unjudged": problem.unjudged,
        "survivors": [s.name for s in problem.survivors],
        "not_judged": [s.name for s in problem.not_judged],
        "contested": sum(c.state is CaseState.CONTESTED for c in problem.cases),
        "left_out": dict(problem.left_out),
        "notes": list(problem.notes),
    }
