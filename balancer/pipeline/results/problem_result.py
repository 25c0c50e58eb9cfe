"""Result of one problem: its cases, and the verdicts on its submissions. Pure.

Defines the words "kept", "killed", "before", "after" and "not judged".
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from balancer.pipeline.results.tally import ProblemTally, RoundHistory
from balancer.problem import Origin, Verdict

__all__ = [
    "NOT_ALL_RUN",
    "NO_VALIDATOR",
    "CaseResult",
    "CaseState",
    "Disagreement",
    "ProblemResult",
    "SubmissionResult",
]


NOT_ALL_RUN = "no time was left to run all survivors on it"  # the note of such a case
NO_VALIDATOR = "it has no input validator"  # the beginning of the note of such a problem


class CaseState(Enum):
    """The state of a proposed input."""

    PROPOSED = "proposed"  # not checked yet
    INVALID = "invalid"  # an input validator refused it
    SPARE = "spare"  # not checked: there were enough before it, or no time
    VALID = "valid"  # valid, without an expected output yet
    CONTESTED = "contested"  # accepted submissions disagree on it, or an output cannot be judged: only reported
    READY = "ready"  # has an expected output that the accepted submissions agree with
    UNJUDGED = "unjudged"  # the infrastructure failed
    UNCHECKED = "unchecked"  # an input validator does not answer, on any endpoint: not used
    REPLACED = "replaced"  # it was ready, but kills nothing, and a later round replaced it


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A valid case and its origin."""

    id: int
    origin: Origin
    sample: bool  # the problem's own data
    state: CaseState
    size: int  # bytes of the input
    round: int = 0  # round of its proposal
    partial: bool = False  # the time was over before all survivors ran on it


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case on which an accepted submission disagrees with the expected output, or an output cannot be judged."""

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
        verdicts: case id -> verdict, for the ready cases.
        times_s: case id -> seconds.
        abstained: ready cases on which it has no verdict that counts. An accepted submission abstains on made-up cases
            on which it meets the time limit.
        not_asked: made-up ready cases on which this accepted submission did not run, because others agreed.
    """

    name: str
    accepted: bool
    expected: str
    verdicts: Mapping[int, Verdict]
    times_s: Mapping[int, float] = field(default_factory=dict)
    abstained: frozenset[int] = frozenset()
    not_asked: frozenset[int] = frozenset()

    def killed_by(self, cases: Iterable[CaseResult]) -> list[int]:
        """Return the ids of those `cases` on which this submission ran and was not accepted."""
        return [c.id for c in cases if c.id in self.verdicts and self.verdicts[c.id].kills]

    def judged_on(self, cases: Collection[CaseResult]) -> bool:
        """Return whether there are `cases`, and the submission is judged on each of them, if all were."""
        unknown = (None, Verdict.UNJUDGED)
        out = self.abstained | self.not_asked
        counted = [case.id for case in cases if case.id not in out and not case.partial]
        return bool(counted or self.not_asked) and all(self.verdicts.get(case) not in unknown for case in counted)

    @property
    def compiles(self) -> bool:
        """False if it does not compile; then no case says anything about it."""
        return Verdict.COMPILE_ERROR not in self.verdicts.values()


@dataclass(frozen=True)  # without slots, for its cached properties
class ProblemResult:
    """The result of one problem.

    Attributes:
        id, name: as in the package.
        cases: the valid ones, by id; sample data first.
        submissions: accepted ones first, in the package's order. Only those that compile count.
        disagreements: contested cases.
        invalid: number of inputs that an input validator refused.
        unchecked: number of inputs whose validity is not known, because a validator does not answer.
        troubles: what a person must know first, one line each: validators that do not work.
        left_out: submission or validator -> why it was not used.
        accepted_left_out, wrong_left_out: how many of these are submissions of each kind.
        notes: other notes for a person, one line each.
        reasons: why something is unjudged -> how often.
        rounds: number of rounds.
        spent_s: seconds spent on made-up inputs.
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
    spent_s: float = field(default=0.0, compare=False)
    unchecked: int = 0
    troubles: tuple[str, ...] = ()
    accepted_left_out: int = 0
    wrong_left_out: int = 0

    @cached_property
    def ready(self) -> tuple[CaseResult, ...]:
        """The cases that submissions are judged on."""
        return tuple(c for c in self.cases if c.state is CaseState.READY)

    @cached_property
    def before(self) -> tuple[CaseResult, ...]:
        """The ready cases that were the problem's own data."""
        return tuple(c for c in self.ready if c.sample)

    @cached_property
    def accepted(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that compile."""
        return tuple(s for s in self.submissions if s.accepted and s.compiles)

    @cached_property
    def wrong(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that compile."""
        return tuple(s for s in self.submissions if not s.accepted and s.compiles)

    @cached_property
    def kept(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that were judged on every case and that no case kills."""
        return tuple(s for s in self.accepted if self._passes(s))

    @cached_property
    def rejected(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that a case kills."""
        return tuple(s for s in self.accepted if s.killed_by(self.ready))

    @cached_property
    def killed(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that a case kills."""
        return tuple(s for s in self.wrong if s.killed_by(self.ready))

    @cached_property
    def killed_before(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that the problem's own data kills."""
        return tuple(s for s in self.wrong if s.killed_by(self.before))

    @cached_property
    def survivors(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that were judged on every case and that no case kills."""
        return tuple(s for s in self.wrong if self._passes(s))

    @cached_property
    def accepted_judged(self) -> tuple[SubmissionResult, ...]:
        """Accepted submissions that are known to be killed or kept."""
        return tuple(s for s in self.accepted if self._is_judged(s))

    @cached_property
    def wrong_judged(self) -> tuple[SubmissionResult, ...]:
        """Wrong submissions that are known to be killed or to survive."""
        return tuple(s for s in self.wrong if self._is_judged(s))

    @cached_property
    def not_judged(self) -> tuple[SubmissionResult, ...]:
        """Submissions that no case kills so far and that were not judged on every case, or there is no case."""
        return tuple(s for s in (*self.accepted, *self.wrong) if not self._is_judged(s))

    @cached_property
    def killers(self) -> tuple[CaseResult, ...]:
        """The cases that kill a wrong submission."""
        killing = {case for s in self.wrong for case in s.killed_by(self.ready)}
        return tuple(c for c in self.ready if c.id in killing)

    @cached_property
    def judged(self) -> int:
        """Number of verdicts other than unjudged."""
        return sum(v is not Verdict.UNJUDGED for s in self.submissions for v in s.verdicts.values())

    @cached_property
    def unjudged(self) -> int:
        """Number of unjudged verdicts and unjudged cases."""
        lost = sum(c.state is CaseState.UNJUDGED for c in self.cases)
        return lost + sum(v is Verdict.UNJUDGED for s in self.submissions for v in s.verdicts.values())

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """The figures of the problem, named as in `summary.json`."""
        skipped = {case for s in self.accepted for case in s.not_asked}
        return {
            "cases": len(self.ready),
            "cases_kept": len(self.killers),
            "accepted": len(self.accepted),
            "accepted_judged": len(self.accepted_judged),
            "accepted_kept": len(self.kept),
            "wrong": len(self.wrong),
            "wrong_judged": len(self.wrong_judged),
            "wrong_killed": len(self.killed),
            "wrong_killed_before": len(self.killed_before),
            "survivors": len(self.survivors),
            "not_judged": len(self.not_judged),
            "judged": self.judged,
            "unjudged": self.unjudged,
            "rejected": len(self.rejected),
            "contested": sum(case.state is CaseState.CONTESTED for case in self.cases),
            "invalid_inputs": self.invalid,
            "unchecked_inputs": self.unchecked,
            "accepted_left_out": self.accepted_left_out,
            "wrong_left_out": self.wrong_left_out,
            "abstaining": sum(bool(s.abstained) for s in self.accepted),
            "unasked": sum(case.id in skipped for case in self.killers),
            "no_validator": int(any(note.startswith(NO_VALIDATOR) for note in self.notes)),
        }

    def tally(self, limit_s: float = 0.0) -> ProblemTally:
        """Return the figures of the problem. `limit_s`: CPU seconds of a run; 0: not known."""
        return ProblemTally(
            id=self.id,
            counts=self.counts,
            survivors=tuple(s.name for s in self.survivors),
            not_judged=tuple(s.name for s in self.not_judged),
            left_out=self.left_out,
            notes=self.notes,
            reasons=self.reasons,
            troubles=self.troubles,
            course=self._course(),
            limit_s=limit_s,
        )

    def _course(self) -> RoundHistory:
        """Return the history: with its own data alone, then after each round."""
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
