"""What is known of a problem at work, as far as it decides what is done next, and its clock. Pure: it is given a clock.

Decides which submissions count, which of them are the jury, and when the time for made-up inputs is over.
"""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from balancer.judging.judgements import limits_of
from balancer.judging.pending import ProgramResult
from balancer.pipeline.progress import ProblemStatus
from balancer.pipeline.proposing import CaseFeedback, Feedback, UnusedInput
from balancer.pipeline.results.problem_log import CaseState, ProblemLog, StoredCase, StoredVerdict, replaced_by
from balancer.problem import FEWEST_AGREEING, Checker, Problem, Submission, Verdict
from balancer.program import Limits, Program
from balancer.settings.pipeline import PipelineSettings

__all__ = ["Known", "ProblemClock", "feedback_before", "status_after", "undecided"]

_OVERRUN = 0.05  # of the budget, in which the last runs may end
_REMEMBERED = 16  # runs, whose longest tells how long the next one may take
_KEPT_EVERY_S = 1.0
_JURY = 6  # accepted submissions that run on every made-up input, with a time budget


class ProblemClock:
    """The seconds that one problem has spent on made-up inputs, over all sessions, and what is left of them.

    Args:
        log: keeps the figure.
        allowed_s: seconds for made-up inputs, over all sessions; None: no limit.
        clock: seconds.
    """

    def __init__(self, log: ProblemLog, allowed_s: float | None, clock: Callable[[], float]) -> None:
        self.allowed_s = allowed_s
        self._log = log
        self._clock = clock
        # Seconds spent before, and since when more are spent: together, as generators at work read both.
        self._spent: tuple[float, float | None] = (log.spent_s, None)
        self._took_s: deque[float] = deque([0.0], _REMEMBERED)

    @property
    def spent_s(self) -> float:
        """Seconds spent on made-up inputs."""
        before_s, since_s = self._spent
        return before_s + (0.0 if since_s is None else self._clock() - since_s)

    @property
    def is_spending(self) -> bool:
        """Whether the present time is spent on made-up inputs."""
        return self._spent[1] is not None

    def spend(self, spending: bool) -> None:
        """Count the time from now on as spent on made-up inputs, or no more."""
        if spending != self.is_spending:
            self._spent = self.spent_s, self._clock() if spending else None

    def timed(self, run: Callable[[], ProgramResult]) -> ProgramResult:
        """Return what `run` returns, and remember how long it took, with its wait for an endpoint. Thread-safe.

        Compiling does not count, and runs on the problem's own data do not: they say little of runs on other inputs.
        """
        began_s, counts = self._clock(), self.is_spending
        ran = run()
        if counts:
            compile_s = ran.execution.compile_s if ran.execution else 0.0
            self._took_s.append(max(0.0, self._clock() - began_s - compile_s))
        return ran

    @property
    def longest_s(self) -> float:
        """Seconds that the longest of the last runs on made-up inputs took; 0 before the first one."""
        return max(self._took_s.copy())

    @property
    def left_s(self) -> float:
        """Seconds left for made-up inputs; infinite without a budget."""
        return math.inf if self.allowed_s is None else self.allowed_s - self.spent_s

    @property
    def left_for_runs_s(self) -> float:
        """Seconds in which a run may be tried, and tried again; infinite if no budget counts now."""
        return self.left_s + _OVERRUN * (self.allowed_s or 0.0) if self.is_spending else math.inf

    @property
    def over(self) -> bool:
        """Whether no run on made-up inputs may begin any more: it would end too long after the budget."""
        left_s = self.left_s
        return left_s <= 0 or left_s + _OVERRUN * (self.allowed_s or 0.0) < self.longest_s

    @property
    def late(self) -> bool:
        """Whether the present time is for made-up inputs, and `over`."""
        return self.is_spending and self.over

    def keep(self, every_s: float = _KEPT_EVERY_S) -> None:
        """Store what was spent, if that is so much more than is stored. A process that dies loses only the rest."""
        if (spent_s := self.spent_s) > self._log.spent_s + every_s:
            self._log.spent(spent_s)


@dataclass(slots=True)
class Known:
    """One problem, its log, and the settings.

    Attributes:
        problem, log, settings, clock: as they are.
        languages: those that some endpoint runs.
        many_answers: whether accepted submissions disagree on the own data, so that a checker is wanted.
        plan: is told how many runs are ahead, and what is done next, with a preposition before the problem.
    """

    problem: Problem
    log: ProblemLog
    settings: PipelineSettings
    clock: ProblemClock
    languages: frozenset[str] = frozenset()
    many_answers: bool = False
    plan: Callable[[int | None, str], object] = lambda ahead, doing: None
    _juries: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    _taken_s: dict[str, float] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether there is a time budget."""
        return self.clock.allowed_s is not None

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
        """Return the accepted (or the wrong) submissions that are not left out, in the package's order."""
        left_out = self.log.left_out
        return [each for each in self.problem.submissions if each.accepted is accepted and each.name not in left_out]

    @property
    def jury(self) -> list[Submission]:
        """The accepted submissions that run on every made-up input: with a time budget only some, the reference first.

        The quickest of each language on the problem's own data, then the quickest of all. The quickest so far gives
        the answers.
        """
        right = self.usable(accepted=True)
        if not self.timed:
            return right
        chosen = right if len(right) <= _JURY else self._chosen(right)
        return sorted(chosen, key=lambda each: self._taken_s.get(each.name, 0.0))

    def _chosen(self, right: list[Submission]) -> list[Submission]:
        key = tuple(each.name for each in right)
        if key not in self._juries:
            taken_s: Counter[str] = Counter()
            own = [case for case in self.log.cases() if case.sample]
            for (name, _), stored in self.log.verdicts(own).items():
                taken_s[name] += stored.time_s  # type: ignore[assignment]  # seconds, not whole
            quick = sorted(right, key=lambda each: taken_s.get(each.name, math.inf))
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
    return [
        case
        for case in known.log.cases(CaseState.READY, CaseState.REPLACED)
        if (case.sample or case.round < number) and (case.state is CaseState.READY or case.note == replaced_by(number))
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
        said = [verdicts[name, case.id] for name in accepted if (name, case.id) in verdicts]
        against = [each for each in said if each.verdict.kills or each.verdict is Verdict.JUDGE_ERROR]
        if against and against[0].submission == accepted[0]:
            failed.append(_unused(case, against[:1]))
        else:
            disagreed.append(_unused(case, against))
    return tuple(failed), tuple(disagreed)


def _unused(case: StoredCase, against: list[StoredVerdict]) -> UnusedInput:
    words = (f"{v.submission}: {v.verdict.value}{f' ({v.note})' if v.note else ''}" for v in against)
    return UnusedInput(case.origin, case.data, "; ".join(words))
