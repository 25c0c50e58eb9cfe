"""Result of one problem: its cases, and what they say of its submissions.

The words "kept", "killed", "before", "after" and "not judged" get their meaning here. Pure: a record knows no file,
database or thread, and not how a report looks.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from balancer.pipeline.results.tally import ProblemTally, RoundHistory
from balancer.problem import Origin, Verdict

__all__ = ["CaseResult", "CaseState", "Disagreement", "ProblemResult", "SubmissionResult"]


class CaseState(Enum):
    """What became of a proposed input."""

    PROPOSED = "proposed"  # not yet checked
    INVALID = "invalid"  # an input validator refused it
    SPARE = "spare"  # valid, but there were enough before it
    VALID = "valid"  # has no expected output yet
    CONTESTED = "contested"  # the accepted submissions disagree on it: not used, but reported
    READY = "ready"  # has an expected output that all accepted submissions agree with
    UNJUDGED = "unjudged"  # the infrastructure failed before that was known
    UNCHECKED = "unchecked"  # an input validator does not say whether it is valid, wherever it runs: not used
    REPLACED = "replaced"  # it was ready, but rejects nobody, and a later round has brought others


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A valid case and where it came from."""

    id: int
    origin: Origin
    sample: bool  # the problem's own data: what was there before
    state: CaseState
    size: int  # bytes of input
    round: int = 0  # that it was proposed in


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
        unchecked: inputs of which an input validator does not say whether they are valid.
        troubles: what a person must know first of all, one line each: validators that do not work.
        left_out: submission or validator -> why it was not used.
        notes: anything else a person should know, one line each.
        reasons: why something is unjudged -> how often.
        rounds: how many it went through.
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
    rounds: int = 1
    unchecked: int = 0
    troubles: tuple[str, ...] = ()

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

    def tally(self) -> ProblemTally:
        """Return what it comes to in numbers."""
        return ProblemTally(
            id=self.id,
            cases=len(self.ready),
            cases_kept=len(self.killers),
            accepted=len(self.accepted),
            accepted_judged=len(self.accepted_judged),
            accepted_kept=len(self.kept),
            wrong=len(self.wrong),
            wrong_judged=len(self.wrong_judged),
            wrong_killed=len(self.killed),
            wrong_killed_before=len(self.killed_before),
            judged=self.judged,
            unjudged=self.unjudged,
            rejected=len(self.rejected),
            contested=sum(case.state is CaseState.CONTESTED for case in self.cases),
            invalid=self.invalid,
            unchecked=self.unchecked,
            troubles=self.troubles,
            disagreements=len(self.disagreements),
            survivors=tuple(s.name for s in self.survivors),
            not_judged=tuple(s.name for s in self.not_judged),
            left_out=dict(self.left_out),
            notes=self.notes,
            reasons=dict(self.reasons),
            course=self._course(),
        )

    def _course(self) -> RoundHistory:
        """Return how it went: with its own data alone, then after each round."""
        accepted, wrong = self.accepted_judged, self.wrong_judged
        times = [self.before, *([c for c in self.ready if c.round < n] for n in range(1, self.rounds + 1))]
        return RoundHistory(
            accepted=len(accepted),
            wrong=len(wrong),
            whole=len(accepted) == len(self.accepted) > 0 and len(wrong) == len(self.wrong) > 0,
            kept=tuple(sum(not s.killed_by(cases) for s in accepted) for cases in times),
            killed=tuple(sum(bool(s.killed_by(cases)) for s in wrong) for cases in times),
        )

    def _passes(self, submission: SubmissionResult) -> bool:
        return submission.judged_on(self.ready) and not submission.killed_by(self.ready)

    def _is_judged(self, submission: SubmissionResult) -> bool:
        return submission.judged_on(self.ready) or bool(submission.killed_by(self.ready))
