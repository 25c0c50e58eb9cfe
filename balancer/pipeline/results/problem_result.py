"""Result of one problem: what its events come to, its cases, and the verdicts on its submissions. Pure.

Defines the words "kept", "killed", "before", "after" and "not judged". The figures, which are stored and added up, are
told once, in `ProblemResult.counts`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any, Self

from balancer.pipeline.results.problem_log import CaseState, ProblemLog, StoredCase, StoredVerdict
from balancer.problem import Origin, Problem, Submission, Verdict

__all__ = [
    "NOT_ALL_RUN",
    "NO_VALIDATOR",
    "CaseResult",
    "CaseState",
    "GeneratorYield",
    "ProblemResult",
    "ProblemTally",
    "RoundHistory",
    "SubmissionResult",
    "cost_of_missing",
    "left_out_for",
    "left_out_of_row",
    "result_of",
    "why_left_out",
]

NOT_ALL_RUN = "no time was left to run all survivors on it"  # the note of such a case
NO_VALIDATOR = "it has no input validator"  # the beginning of the note of such a problem

_UNUSED = (CaseState.INVALID, CaseState.UNCHECKED, CaseState.PROPOSED, CaseState.SPARE)


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


@dataclass(frozen=True)  # without slots, for its cached properties
class ProblemResult:
    """The result of one problem.

    Attributes:
        id, name: as in the package.
        cases: the valid ones, by id; sample data first.
        submissions: accepted ones first, in the package's order. Only those that compile count.
        disagreements: verdicts on contested cases: of accepted submissions that disagree with the expected output, or
            on an output that cannot be judged.
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
    disagreements: tuple[StoredVerdict, ...] = ()
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
    def rejects(self) -> Mapping[int, list[str]]:
        """Ready case -> the wrong submissions that it kills."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for submission in self.wrong:
            for case in submission.killed_by(self.ready):
                found[case].append(submission.name)
        return dict(found)

    @cached_property
    def killers(self) -> tuple[CaseResult, ...]:
        """The cases that kill a wrong submission."""
        return tuple(c for c in self.ready if c.id in self.rejects)

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


# -- what its events come to -------------------------------------------------------------------------


def result_of(log: ProblemLog, problem: Problem) -> ProblemResult:
    """Return what the events of a problem come to. Of the problem itself, data and programs may be missing."""
    cases, verdicts, left_out = log.cases(), log.verdicts(), log.left_out
    used = [submission for submission in problem.submissions if submission.name not in left_out]
    unused = [
        each.accepted
        for each in problem.submissions
        if each.name in left_out and not left_out_for(left_out[each.name])  # languages are told for the whole run
    ]
    why = Counter(case.note for case in cases if case.state is CaseState.UNJUDGED and case.note)
    why.update(stored.note for stored in verdicts.values() if stored.verdict is Verdict.UNJUDGED)
    reasons = dict(why.most_common())
    submissions = tuple(_submission_result(submission, cases, verdicts) for submission in used)
    return ProblemResult(
        id=problem.id,
        name=problem.name,
        cases=tuple(
            CaseResult(
                case.id, case.origin, case.sample, case.state, len(case.data), case.round, case.note == NOT_ALL_RUN
            )
            for case in cases
            if case.state not in _UNUSED
        ),
        submissions=submissions,
        disagreements=tuple(
            stored
            for case in cases
            if case.state is CaseState.CONTESTED
            for submission in problem.submissions
            if (stored := verdicts.get((submission.name, case.id)))
            and (
                stored.verdict is Verdict.JUDGE_ERROR
                or (submission.accepted and submission in used and stored.verdict.kills)
            )
        ),
        invalid=sum(case.state is CaseState.INVALID for case in cases),
        unchecked=sum(case.state is CaseState.UNCHECKED for case in cases),
        troubles=tuple(log.troubles),
        left_out={**problem.left_out, **left_out},
        accepted_left_out=unused.count(True),
        wrong_left_out=unused.count(False),
        notes=tuple(_notes(log, submissions, reasons)),
        reasons=reasons,
        rounds=log.rounds,
        spent_s=log.spent_s,
    )


def _notes(log: ProblemLog, submissions: Sequence[SubmissionResult], reasons: Mapping[str, int]) -> Iterator[str]:
    """Yield the notes for a person, one line each."""
    cases = log.cases()
    yield from log.notes()
    if log.why_put_off:
        yield log.why_put_off
    for reason, times in list(reasons.items())[:1]:
        yield f"unjudged, {times} x: {reason}"
    for case in cases:
        if case.sample and case.state in (CaseState.INVALID, CaseState.UNCHECKED):
            yield f"its own input {case.origin.detail} is not used: {case.note}"
    why = Counter(case.note for case in cases if case.state is CaseState.UNCHECKED and not case.sample)
    if why:
        yield f"{why.total()} made-up inputs are neither valid nor refused: {why.most_common(1)[0][0]}"
    ready = {case.id: case.origin.detail for case in cases if case.state is CaseState.READY}
    errors = [each for each in log.verdicts().values() if each.verdict is Verdict.JUDGE_ERROR and each.case in ready]
    if errors:
        first = min(errors, key=lambda each: (each.case, each.submission))
        more = f"; so it is {len(errors) - 1} times more" if len(errors) > 1 else ""
        yield f"judge error: {first.submission} on its own {ready[first.case]}: {first.note}{more}"
    if log.limit_s is not None:
        limit = f"its time limit is {log.limit_s:g} s here"
        yield f"{limit}: accepted submissions take more than its own on its own data"
    for each in submissions:
        if each.abstained:
            met = f"accepted {each.name} meets the time limit on {len(each.abstained)} made-up cases"
            yield f"{met} on which others agree, and abstains there"
    spared = sum(bool(each.not_asked) for each in submissions)
    if spared:
        killing = {case for each in submissions if not each.accepted for case, v in each.verdicts.items() if v.kills}
        left = killing & {case for each in submissions for case in each.not_asked}
        words = "1 accepted submission" if spared == 1 else f"{spared} accepted submissions"
        line = f"{words} did not run on all made-up cases: with a time budget, a jury of some agrees on a case first"
        late = f"; there was no time to ask all of them about {len(left)} of the cases that kill"
        yield line + (late if left else "")


def _submission_result(
    submission: Submission, cases: Sequence[StoredCase], verdicts: dict[tuple[str, int], StoredVerdict]
) -> SubmissionResult:
    ready = {case.id: case for case in cases if case.state is CaseState.READY}
    stored = {case: verdicts[submission.name, case] for case in ready if (submission.name, case) in verdicts}
    accepted, made_up = submission.accepted, {number for number, case in ready.items() if not case.sample}
    abstained = {case for case, each in stored.items() if accepted and each.verdict is Verdict.TIME_LIMIT} & made_up
    return SubmissionResult(
        name=submission.name,
        accepted=accepted,
        expected=submission.expected,
        verdicts={case: each.verdict for case, each in stored.items() if case not in abstained},
        times_s={case: each.time_s for case, each in stored.items()},
        abstained=frozenset(abstained),
        not_asked=frozenset(made_up - stored.keys() if accepted else ()),
    )


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
