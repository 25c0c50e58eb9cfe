"""Sample: one problem under way, with its settings, runner, store and clock.

Decides the limits of a run, and how a submission is judged on a case. `ProblemClock` counts the time of the problem,
and the time for made-up inputs. A shell: it reads the clock.
"""

import math
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from balancer.hookspecs import Generator
from balancer.judging.judgements import OutputCheck, checked, judgement_of, limits_of
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.judging.trust import said
from balancer.judging.verdict import Judgement
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import EquippedGenerator
from balancer.pipeline.results.problem_log import ProblemLog, StoredCase
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.checking import CheckerTrial, Validators
from balancer.problem import CaseOptions, Checker, Problem, Submission, Verdict
from balancer.program import Limits, Program
from balancer.settings.pipeline import PipelineSettings

__all__ = ["ProblemClock", "Sample", "chunk"]

_FIRST, _LEAST = 4, 2  # inputs between two looks at the clock: the first time, and at least
_OVERRUN = 0.1  # of the budget, in which the last runs may end
_REMEMBERED = 16  # runs, whose longest tells how long the next one may take
_HALF = 2  # the next look is after at most 1/2 of the time left
_JURY = 6  # accepted submissions that run on every made-up input, with a time budget
Item = TypeVar("Item")

_MOST_THREADS = 512  # a thread of `in_threads` may call it again
_MOST_BYTES = 4096  # longer outputs are not kept, to save memory


class ProblemClock:
    """The clock of one problem. It continues from earlier sessions.

    Args:
        log: of the problem; it keeps the figures.
        clock: seconds.
    """

    def __init__(self, log: ProblemLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._before_s, spent_s = log.elapsed_s, log.spent_s
        self._began_s = clock()
        # Seconds spent before, and since when more are spent: together, as generators at work read both.
        self._spent: tuple[float, float | None] = (spent_s, None)
        self._took_s: deque[float] = deque([0.0], _REMEMBERED)

    @property
    def elapsed_s(self) -> float:
        """Seconds for which the problem was at work."""
        return self._before_s + self._clock() - self._began_s

    @property
    def spent_s(self) -> float:
        """Seconds of these that were spent on made-up inputs."""
        before_s, since_s = self._spent
        return before_s + (0.0 if since_s is None else self._clock() - since_s)

    @property
    def is_spending(self) -> bool:
        """Whether the present time is spent on made-up inputs."""
        return self._spent[1] is not None

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

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time in the block as spent on made-up inputs."""
        self._spent = self._spent[0], self._clock()
        try:
            yield
        finally:
            self._spent = self.spent_s, None

    def keep(self) -> None:
        """Store both figures. A process that dies loses only the time since."""
        self._log.clock(self.elapsed_s, self.spent_s)


def chunk(left_s: float, spent_s: float, inputs: int, most: int) -> int:
    """Return how many more inputs to judge before the next look at the clock.

    Args:
        left_s: seconds left; infinite without a budget.
        spent_s: seconds spent on made-up inputs.
        inputs: inputs judged in that time.
        most: inputs wanted.
    """
    if math.isinf(left_s):
        return most
    if not inputs or spent_s <= 0:
        return min(most, _FIRST)
    return min(most, max(_LEAST, int(left_s / _HALF / (spent_s / inputs))))


class UnconfirmedRuns:
    """Important runs that only one endpoint has made, kept until they are made again elsewhere. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], ProgramResult] = {}

    def add(self, submission: Submission, case: StoredCase, ran: ProgramResult) -> None:
        """Keep the result, unless another endpoint has confirmed it."""
        with self._lock:
            if ran.execution is None or ran.verified or len(ran.execution.stdout) > _MOST_BYTES:
                self._kept.pop((submission.name, case.id), None)
            else:
                self._kept[submission.name, case.id] = ran

    def take(self, submission: Submission, case: StoredCase) -> ProgramResult | None:
        """Remove and return the kept result."""
        with self._lock:
            return self._kept.pop((submission.name, case.id), None)


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem with its settings, the runner and the store.

    `allowed_s`: seconds for made-up inputs, over all sessions; None: no limit. `limits`: of one run of a submission.
    `threads`: for `in_threads`; whoever makes the sample ends them. `imprecise`: accepted submissions -> how near their
    outputs are to the edge of the tolerance; 0: exact. `juries`: usable accepted submissions -> those of the jury.
    `taken_s`: CPU seconds of each of these on inputs that all of them ran on.
    """

    problem: Problem
    generators: Sequence[Generator | EquippedGenerator]
    settings: PipelineSettings
    runner: Runner
    store: Store
    progress: Progress
    allowed_s: float | None = None
    log: ProblemLog = field(init=False)
    clock: ProblemClock = field(init=False)
    limits: Limits = field(init=False)
    validators: Validators = field(init=False)
    checker_trial: CheckerTrial = field(init=False)
    unconfirmed: UnconfirmedRuns = field(init=False, default_factory=UnconfirmedRuns)
    threads: ThreadPoolExecutor = field(init=False)
    imprecise: dict[str, int] = field(init=False, default_factory=dict)
    juries: dict[tuple[str, ...], frozenset[str]] = field(init=False, default_factory=dict)
    taken_s: Mapping[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make the validators and the checker trial, and start the clock."""
        object.__setattr__(self, "log", self.store.of(self.problem.id))
        object.__setattr__(self, "threads", ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix=self.problem.id))
        object.__setattr__(self, "clock", ProblemClock(self.log))
        object.__setattr__(self, "runner", self.runner.within(self._left_for_runs_s))
        named_s, settings = self.problem.time_limit_s, self.settings
        cpu_s = named_s * settings.time_limit_factor if named_s else settings.time_limit_s
        object.__setattr__(self, "limits", self.limits_at(self.log.limit_s or cpu_s))
        say = self.progress.say
        object.__setattr__(self, "validators", Validators(self.problem, self.runner, self.log, say))
        object.__setattr__(self, "checker_trial", CheckerTrial(self.problem, self.runner, self.log, say))

    def limits_at(self, cpu_s: float) -> Limits:
        """Return the limits of a run with another time limit."""
        return replace(limits_of(cpu_s, self.problem.memory_bytes), compile_s=self.settings.compile_s)

    def limit_time(self, cpu_s: float) -> None:
        """Use this time limit from now on, in later sessions too."""
        self.log.set_limit(cpu_s)
        object.__setattr__(self, "limits", self.limits_at(cpu_s))

    @property
    def shrinks(self) -> bool:
        """Whether cases are shrunk at the end: as set, else only with a time budget."""
        wanted = self.settings.shrink
        return self.allowed_s is not None if wanted == "auto" else wanted == "on"

    @property
    def left_s(self) -> float:
        """Seconds left for made-up inputs; infinite without a budget."""
        return math.inf if self.allowed_s is None else self.allowed_s - self.clock.spent_s

    def plan(self, ahead: int, what: str) -> None:
        """Tell the progress how many runs are ahead, what is done next, and how much of the time budget is left."""
        spending = self.allowed_s is not None and self.clock.is_spending
        self.progress.plan(self.problem.id, ahead, what, max(self.left_s, 0.1) if spending else None)

    @property
    def late(self) -> bool:
        """Whether the present time is for made-up inputs, and `over`."""
        return self.clock.is_spending and self.over

    @property
    def over(self) -> bool:
        """Whether no run on made-up inputs may begin any more: it would end too long after the budget."""
        if self.allowed_s is None:
            return False
        return self.left_s <= 0 or self.left_s + _OVERRUN * self.allowed_s < self.clock.longest_s

    def _left_for_runs_s(self) -> float:
        """Return the seconds in which a run may be tried, and tried again; infinite if no budget counts now."""
        if self.allowed_s is None or not self.clock.is_spending:
            return math.inf
        return self.left_s + _OVERRUN * self.allowed_s

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

    def usable(self, *, accepted: bool) -> list[Submission]:
        """Return the accepted (or the wrong) submissions that are not left out, in the package's order.

        The most precise ones come first, so that they give the answers.
        """
        left_out = self.log.left_out
        found = [s for s in self.problem.submissions if s.accepted is accepted and s.name not in left_out]
        return sorted(found, key=lambda s: self.imprecise.get(s.name, 0))

    @property
    def jury(self) -> list[Submission]:
        """The accepted submissions that run on every made-up input: with a time budget only some, the reference first.

        The quickest of each language on the problem's own data, then the quickest of all, precise ones first. The
        quickest so far gives the answers. Where a `quorum` says how many must agree: all of them, in the package's
        order.
        """
        right = self.usable(accepted=True)
        if self.allowed_s is None or self.settings.quorum < 1:
            return right
        chosen = right if len(right) <= _JURY else self._chosen(right)
        return sorted(chosen, key=lambda each: (self.imprecise.get(each.name, 0), self.taken_s.get(each.name, 0.0)))

    def _chosen(self, right: list[Submission]) -> list[Submission]:
        key = tuple(each.name for each in right)
        if key not in self.juries:
            taken_s: Counter[str] = Counter()
            own = [case for case in self.log.cases() if case.sample]
            for (name, _), stored in self.log.verdicts(own).items():
                taken_s[name] += stored.time_s  # type: ignore[assignment]  # seconds, not whole
            quick = sorted(right, key=lambda each: (self.imprecise.get(each.name, 0), taken_s.get(each.name, math.inf)))
            first = {each.program.language: each.name for each in reversed(quick)}
            chosen = [*first.values(), *(each.name for each in quick if each.name not in first.values())][:_JURY]
            self.juries[key] = frozenset(chosen)
        return [each for each in right if each.name in self.juries[key]]

    def time_jury(self) -> None:
        """Add up how long each of the jury took on the inputs that all of them ran on: this decides who is first."""
        names = {each.name for each in self.jury}
        took: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for (name, case), stored in self.log.verdicts().items():
            if name in names and stored.verdict is not Verdict.UNJUDGED:
                took[case][name] = stored.time_s
        common = [each for each in took.values() if len(each) == len(names)]
        object.__setattr__(self, "taken_s", {name: sum(each[name] for each in common) for name in names})

    def in_threads(self, workers: int, act: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Call `act` for every item, `workers` at a time. The first error stops the rest and is raised.

        The caller is one of the workers. So it goes on, also where no thread is free.
        """
        left = deque(items)
        errors: list[BaseException] = []

        def work() -> None:
            while not errors:
                try:
                    item = left.popleft()
                except IndexError:
                    return
                try:
                    act(item)
                except BaseException as error:
                    errors.append(error)

        others = [self.threads.submit(work) for _ in range(min(workers, len(left)) - 1)]
        work()
        wait([each for each in others if not each.cancel()])
        if errors:
            raise errors[0]

    def execute(
        self, submission: Submission, case: StoredCase, stage: RunStage, limits: Limits | None = None
    ) -> ProgramResult:
        """Run `submission` on the input of `case`, with other `limits` if they are given."""
        wanted = self._wanted(submission, case, stage)
        return self.runner.run(wanted if limits is None else replace(wanted, limits=limits))

    def _wanted(self, submission: Submission, case: StoredCase, stage: RunStage) -> ProgramRun:
        # A problem with a checker may have many right outputs, so no expected beginning is known.
        expected = case.answer if self.checker.program is None and not self.checker.values else None
        options = self.problem.options_of(case.origin, sample=case.sample) or CaseOptions()
        return ProgramRun(
            replace(submission.program, args=options.args) if options.args else submission.program,
            case.data,
            self.limits,
            self.problem.id,
            stage,
            submission.name,
            case.id,
            dict(options.files),
            expected=expected,
            witness=submission.accepted,
        )

    def check(self, output: bytes, case: StoredCase, answer: bytes, stage: RunStage, subject: str) -> Judgement:
        """Return the judgement of `output` on `case`, by the problem's own output validator if it has one.

        Raises:
            CannotJudge: that validator does not work.
        """
        reruns = self.runner.reruns
        nobody = Program("", "")  # unused: the program has already run
        wanted = ProgramRun(nobody, case.data, self.limits, self.problem.id, stage, subject, case.id)
        return self.runner.follow(checked(reruns, wanted, self._check_of(case), output, answer))

    def _check_of(self, case: StoredCase) -> OutputCheck:
        """Return how answers to `case` are checked. Some of a problem's own inputs have their own flags."""
        options = self.problem.options_of(case.origin, sample=case.sample)
        checker = self.checker if options is None else replace(self.checker, flags=options.checker)
        if checker.program is not self.problem.checker.program:
            return OutputCheck(checker, on_odd=lambda execution: True)  # it passed a trial when it was brought
        return OutputCheck(checker, on_odd=lambda execution: self.checker_trial.hold(checker, execution))

    def judge(self, submission: Submission, case: StoredCase, stage: RunStage) -> Verdict | None:
        """Run `submission` on `case`, which has an answer, and store the verdict. Return it.

        Skip a submission that is left out, and return None.
        """
        if submission.name in self.log.left_out:
            return None
        judgement, _ = self.settle(submission, case, stage)
        self.progress.advance(self.problem.id)
        return judgement.verdict

    def settle(
        self, submission: Submission, case: StoredCase, stage: RunStage, ran: ProgramResult | None = None
    ) -> tuple[Judgement, ProgramResult]:
        """Store the verdict on `submission` that follows from `ran`. Return the judgement and the result that counts.

        A surprising result is first confirmed elsewhere, and may be replaced. A run without a result at the end of the
        budget leaves no verdict.

        Args:
            submission, case, stage: the run.
            ran: its result; None: run it.
        """
        wanted = self._wanted(submission, case, stage)
        if ran is None:
            ran = self.clock.timed(lambda: self.runner.run(wanted))
        judgement = self._judgement(wanted, case, ran)
        if judgement.verdict is Verdict.UNJUDGED and self.late:
            return judgement, ran  # as if it had not begun: there is no time for it
        if _surprises(submission, judgement):
            again = self.runner.confirm(wanted, ran)
            if again != ran:
                judgement = self._judgement(wanted, case, again)
            ran = again
        if judgement.verdict is Verdict.COMPILE_ERROR:
            # Do this first: if the run dies in between, there must be no verdict without the submission being left out.
            self.log.leave_out(submission.name, f"does not compile: {judgement.note}")
        time_s = ran.execution.time_s if ran.execution else 0.0
        verdict = judgement.verdict
        kills = not submission.accepted and verdict.kills and verdict is not Verdict.COMPILE_ERROR
        killed_s = self.clock.elapsed_s if kills else None
        self.log.judged(submission.name, case.id, verdict, time_s, judgement.note, killed_s)
        if kills:
            self.unconfirmed.add(submission, case, ran)
        return judgement, ran

    def _judgement(self, wanted: ProgramRun, case: StoredCase, ran: ProgramResult) -> Judgement:
        return self.runner.follow(judgement_of(self.runner.reruns, wanted, ran, self._check_of(case), case.answer))

    def look_again(self, submission: Submission, case: StoredCase, stage: RunStage) -> ProgramResult | None:
        """Run `submission` on `case` again elsewhere. Return the right result if it differs, else None.

        Nothing is run if the result is confirmed already, or is from an earlier session.
        """
        ran = self.unconfirmed.take(submission, case)
        if ran is None:
            return None
        again = self.runner.confirm(self._wanted(submission, case, stage), ran)
        same = again.execution is None or ran.execution is None or said(again.execution) == said(ran.execution)
        return None if same else again


def _surprises(submission: Submission, judgement: Judgement) -> bool:
    if judgement.verdict is Verdict.COMPILE_ERROR:
        return True
    return (submission.accepted and judgement.verdict.kills) or judgement.verdict is Verdict.JUDGE_ERROR
