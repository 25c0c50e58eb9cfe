"""What is known of a problem at work, as far as it decides what is done next. Pure: it is told the time.

Decides which submissions count, which of them are the jury, and when the time for made-up inputs is over.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from balancer.judging.judgements import limits_of
from balancer.pipeline.progress import ProblemStatus
from balancer.pipeline.proposing import CaseFeedback, Feedback, UnusedInput
from balancer.pipeline.results.problem_log import ProblemLog, StoredCase, StoredVerdict, replaced_by
from balancer.pipeline.results.problem_result import CaseState
from balancer.pipeline.round.acts import Now
from balancer.problem import FEWEST_AGREEING, Checker, Problem, Submission, Verdict
from balancer.program import Limits, Program
from balancer.settings.pipeline import PipelineSettings

__all__ = ["OVERRUN", "Known", "feedback_before", "status_after", "undecided"]

OVERRUN = 0.05  # of the budget, in which the last runs may end
_JURY = 6  # accepted submissions that run on every made-up input, with a time budget


@dataclass(slots=True)
class Known:
    """One problem, its log, and the settings.

    Attributes:
        problem, log, settings: as they are.
        allowed_s: seconds for made-up inputs, over all sessions; None: no limit.
        languages: those that some endpoint runs.
        now: the time.
        spending: whether the present time is spent on made-up inputs.
        ahead, doing: runs that are ahead, and what is done next, with a preposition before the problem.
        imprecise: accepted submissions -> how near their outputs are to the edge of the tolerance; 0: exact.
    """

    problem: Problem
    log: ProblemLog
    settings: PipelineSettings
    allowed_s: float | None = None
    languages: frozenset[str] = frozenset()
    now: Now = field(default_factory=Now)
    spending: bool = False
    imprecise: dict[str, int] = field(default_factory=dict)
    ahead: int = 0
    doing: str = ""
    _juries: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    _taken_s: dict[str, float] = field(default_factory=dict)

    # -- time ----------------------------------------------------------------------------------------

    @property
    def left_s(self) -> float:
        """Seconds left for made-up inputs; infinite without a budget."""
        return self.left_at(self.now)

    @property
    def over(self) -> bool:
        """Whether no run on made-up inputs may begin any more: it would end too long after the budget."""
        return self.over_at(self.now)

    def left_at(self, now: Now) -> float:
        """Return `left_s` at another time."""
        return math.inf if self.allowed_s is None else self.allowed_s - now.spent_s

    def over_at(self, now: Now) -> bool:
        """Return `over` at another time."""
        left_s = self.left_at(now)
        return left_s <= 0 or left_s + OVERRUN * (self.allowed_s or 0.0) < now.longest_s

    @property
    def late(self) -> bool:
        """Whether the present time is for made-up inputs, and `over`."""
        return self.spending and self.over

    def plan(self, ahead: int, doing: str) -> None:
        """Say how many runs are ahead, and what is done next."""
        self.ahead, self.doing = ahead, doing

    # -- limits and checks ---------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """The limits of one run of a submission."""
        named_s, settings = self.problem.time_limit_s, self.settings
        cpu_s = named_s * settings.time_limit_factor if named_s else settings.time_limit_s
        return self.limits_at(self.log.limit_s or cpu_s)

    def limits_at(self, cpu_s: float) -> Limits:
        """Return the limits of a run with another time limit."""
        return replace(limits_of(cpu_s, self.problem.memory_bytes), compile_s=self.settings.compile_s)

    @property
    def checker(self) -> Checker:
        """How answers are compared: by a generator's checker, else by the problem's own unless that is left out."""
        brought = self.log.brought.get("checker")
        if brought is not None:
            return Checker(brought)
        own = self.problem.checker
        if own.program is None or own.instead is None or own.program.name not in self.log.left_out:
            return own
        return Checker(None, own.instead)

    def validators(self) -> tuple[Program, ...]:
        """Return the validators that an input must pass: the problem's own, and the one from a generator."""
        brought = self.log.brought.get("validator")
        own = tuple(each for each in self.problem.input_validators if each.name not in self.log.left_out)
        return own if brought is None else (*own, brought)

    def tellable(self) -> bool:
        """Return whether the validity of made-up inputs can be decided, by validators or by agreement."""
        agree = len(self.usable(accepted=True)) >= FEWEST_AGREEING or not self.problem.packaged
        return bool(self.validators()) or (self.problem.by_agreement and agree)

    # -- submissions ---------------------------------------------------------------------------------

    def usable(self, *, accepted: bool) -> list[Submission]:
        """Return the accepted (or the wrong) submissions that are not left out, in the package's order.

        The most precise ones come first, so that they give the answers.
        """
        left_out = self.log.left_out
        found = [each for each in self.problem.submissions if each.accepted is accepted and each.name not in left_out]
        return sorted(found, key=lambda each: self.imprecise.get(each.name, 0))

    @property
    def jury(self) -> list[Submission]:
        """The accepted submissions that run on every made-up input: with a time budget only some, the reference first.

        The quickest of each language on the problem's own data, then the quickest of all, precise ones first. The
        quickest so far gives the answers.
        """
        right = self.usable(accepted=True)
        if self.allowed_s is None:
            return right
        chosen = right if len(right) <= _JURY else self._chosen(right)
        return sorted(chosen, key=lambda each: (self.imprecise.get(each.name, 0), self._taken_s.get(each.name, 0.0)))

    def _chosen(self, right: list[Submission]) -> list[Submission]:
        key = tuple(each.name for each in right)
        if key not in self._juries:
            taken_s: Counter[str] = Counter()
            own = [case for case in self.log.cases() if case.sample]
            for (name, _), stored in self.log.verdicts(own).items():
                taken_s[name] += stored.time_s  # type: ignore[assignment]  # seconds, not whole
            quick = sorted(right, key=lambda each: (self.imprecise.get(each.name, 0), taken_s.get(each.name, math.inf)))
            first = {each.program.language: each.name for each in reversed(quick)}
            chosen = [*first.values(), *(each.name for each in quick if each.name not in first.values())][:_JURY]
            self._juries[key] = frozenset(chosen)
        return [each for each in right if each.name in self._juries[key]]

    def time_jury(self) -> None:
        """Add up how long each of the jury took on the inputs that all of them ran on: this decides who is first."""
        names = {each.name for each in self.jury}
        took: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for (name, case), stored in self.log.verdicts().items():
            if name in names and stored.verdict is not Verdict.UNJUDGED:
                took[case][name] = stored.time_s
        common = [each for each in took.values() if len(each) == len(names)]
        self._taken_s = {name: sum(each[name] for each in common) for name in names}

    # -- verdicts ------------------------------------------------------------------------------------

    def verdict(self, submission: Submission, case: StoredCase) -> Verdict | None:
        """Return the verdict on a submission; None if there is none."""
        stored = self.log.verdict(submission.name, case.id)
        return None if stored is None else stored.verdict

    def kills(self, submission: Submission, case: StoredCase) -> bool:
        """Return whether a case kills a submission."""
        verdict = self.verdict(submission, case)
        return verdict is not None and verdict.kills

    def pending(
        self, submissions: Iterable[Submission], cases: Iterable[StoredCase]
    ) -> Iterator[tuple[Submission, StoredCase]]:
        """Yield each submission with each case on which it is not judged, case by case."""
        some = list(submissions)
        return ((each, case) for case in cases for each in some if undecided(self.verdict(each, case)))

    def judge_errors(self, cases: Iterable[StoredCase]) -> list[tuple[str, int]]:
        """Return the submission and the case of each output that the output validator could not judge."""
        found = self.log.verdicts(cases)
        return [pair for pair, stored in found.items() if stored.verdict is Verdict.JUDGE_ERROR]

    def killed(self) -> dict[str, list[StoredCase]]:
        """Return the wrong submissions that a ready case kills, with these cases."""
        ready = {case.id: case for case in self.log.cases(CaseState.READY)}
        wrong = {each.name for each in self.usable(accepted=False)}
        found: defaultdict[str, list[StoredCase]] = defaultdict(list)
        for (name, case), stored in self.log.verdicts().items():
            if name in wrong and case in ready and stored.verdict.kills:
                found[name].append(ready[case])
        return found

    def killers(self) -> set[int]:
        """Return the ids of the ready cases that kill a wrong submission."""
        return {case.id for cases in self.killed().values() for case in cases}

    def surviving(self) -> list[Submission]:
        """Return the wrong submissions that no ready case kills."""
        killed = self.killed()
        return [each for each in self.usable(accepted=False) if each.name not in killed]


def undecided(verdict: Verdict | None) -> bool:
    """Return whether a run must be made, or made again."""
    return verdict in (None, Verdict.UNJUDGED)


# -- what a round came to, for generators and watchers --------------------------------------------------


_SAY_NOTHING = (Verdict.JUDGE_ERROR, Verdict.UNJUDGED)


def status_after(known: Known, number: int) -> ProblemStatus:
    """Return the problem's status after round `number`."""
    wrong = len(known.usable(accepted=False))
    ready = len(known.log.cases(CaseState.READY))
    return ProblemStatus(number, ready, len(known.surviving()), wrong)


def feedback_before(known: Known, number: int) -> Feedback:
    """Return the feedback before round `number`."""
    log, verdicts = known.log, known.log.verdicts()
    wrong, ready = known.usable(accepted=False), _ready_before(known, number)
    judged = {
        case.id: {
            each.name: stored.verdict.kills
            for each in wrong
            if (stored := verdicts.get((each.name, case.id))) and stored.verdict not in _SAY_NOTHING
        }
        for case in ready
    }
    rejected = {case: tuple(name for name, kills in said.items() if kills) for case, said in judged.items()}
    killed = {name for names in rejected.values() for name in names}
    failed, disagreed = _contested(known, verdicts, number)
    return Feedback(
        round=number,
        cases=tuple(CaseFeedback(case.id, case.origin, case.data, rejected[case.id]) for case in ready),
        failed=failed,
        disagreed=disagreed,
        refused=tuple(
            UnusedInput(case.origin, case.data, case.note)
            for case in log.cases(CaseState.INVALID)
            if case.round < number
        ),
        complaints=tuple(log.notes(number - 1)),
        survivors=tuple(
            each for each in wrong if each.name not in killed and any(each.name in said for said in judged.values())
        ),
    )


def _ready_before(known: Known, number: int) -> list[StoredCase]:
    """Return the cases that were ready when round `number` began, with those it replaced."""
    cases = known.log.cases(CaseState.READY, CaseState.REPLACED)
    made_room = replaced_by(number)
    return [
        case
        for case in cases
        if (case.sample or case.round < number) and (case.state is CaseState.READY or case.note == made_room)
    ]


def _contested(
    known: Known, verdicts: Mapping[tuple[str, int], StoredVerdict], number: int
) -> tuple[tuple[UnusedInput, ...], tuple[UnusedInput, ...]]:
    """Return the inputs on which the reference solution fails, and those with too little agreement."""
    accepted = list(dict.fromkeys(each.name for each in (*known.jury, *known.usable(accepted=True))))
    failed, disagreed = [], []
    for case in known.log.cases(CaseState.CONTESTED):
        if case.round >= number:
            continue
        said = {name: verdicts[name, case.id] for name in accepted if (name, case.id) in verdicts}
        against = {
            name: stored
            for name, stored in said.items()
            if stored.verdict.kills or stored.verdict is Verdict.JUDGE_ERROR
        }
        if accepted and accepted[0] in against:
            failed.append(_unused(case, {accepted[0]: against[accepted[0]]}))
        else:
            disagreed.append(_unused(case, against))
    return tuple(failed), tuple(disagreed)


def _unused(case: StoredCase, against: dict[str, StoredVerdict]) -> UnusedInput:
    words = (f"{name}: {v.verdict.value}{f' ({v.note})' if v.note else ''}" for name, v in against.items())
    return UnusedInput(case.origin, case.data, "; ".join(words))
