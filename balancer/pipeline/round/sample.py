"""Sample: one problem under way, with its settings, runner, log and clock.

Decides how a submission is judged on a case. `ProblemClock` counts the time of the problem, and the time for made-up
inputs. A shell: it reads the clock.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from balancer.hookspecs import Generator
from balancer.judging.judgements import OutputCheck, checked, judgement_of
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.judging.verdict import Judgement
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import EquippedGenerator
from balancer.pipeline.results.problem_log import ProblemLog, StoredCase
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.acts import Now
from balancer.pipeline.round.checking import Validators
from balancer.pipeline.round.known import OVERRUN, Known
from balancer.problem import CaseOptions, Problem, Submission, Verdict
from balancer.program import Limits, Program
from balancer.settings.pipeline import PipelineSettings

__all__ = ["ProblemClock", "Sample"]

_LEAST_S = 0.1  # wall seconds of a run at the end of the budget
_REMEMBERED = 16  # runs, whose longest tells how long the next one may take
_MOST_THREADS = 512
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

    def spend(self, spending: bool) -> None:
        """Count the time from now on as spent on made-up inputs, or no more."""
        if spending != self.is_spending:
            self._spent = self.spent_s, self._clock() if spending else None

    @property
    def now(self) -> Now:
        """What a round knows of the time."""
        return Now(self.spent_s, self.longest_s)

    def keep(self) -> None:
        """Store both figures. A process that dies loses only the time since."""
        self._log.clock(self.elapsed_s, self.spent_s)


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


@dataclass(slots=True)
class Sample:
    """One problem with its settings, the runner and the store.

    `allowed_s`: seconds for made-up inputs, over all sessions; None: no limit. `known`: what its round knows.
    `threads`: for acts; whoever makes the sample ends them.
    """

    problem: Problem
    generators: Sequence[Generator | EquippedGenerator]
    settings: PipelineSettings
    runner: Runner
    store: Store
    progress: Progress
    allowed_s: float | None = None
    log: ProblemLog = field(init=False)
    known: Known = field(init=False)
    clock: "ProblemClock" = field(init=False)
    validators: Validators = field(init=False)
    unconfirmed: "UnconfirmedRuns" = field(init=False)
    threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make the validators, and start the clock."""
        problem, say = self.problem, self.progress.say
        self.log = self.store.of(problem.id)
        self.known = Known(problem, self.log, self.settings, self.allowed_s, self.runner.languages)
        self.clock = ProblemClock(self.log)
        self.threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix=problem.id)
        self.unconfirmed = UnconfirmedRuns()
        self.runner = self.runner.within(self._left_for_runs_s)
        self.validators = Validators(problem, self.runner, self.log, self.known.validators, say)

    @property
    def left_s(self) -> float:
        """Seconds left for made-up inputs, now; infinite without a budget."""
        return self.known.left_at(self.clock.now)

    @property
    def over(self) -> bool:
        """Whether no run on made-up inputs may begin now. See `Known`."""
        return self.known.over_at(self.clock.now)

    @property
    def late(self) -> bool:
        """Whether the present time is for made-up inputs, and `over`."""
        return self.clock.is_spending and self.over

    def _left_for_runs_s(self) -> float:
        """Return the seconds in which a run may be tried, and tried again; infinite if no budget counts now."""
        if self.allowed_s is None or not self.clock.is_spending:
            return math.inf
        return self.left_s + OVERRUN * self.allowed_s

    # -- one run -------------------------------------------------------------------------------------

    def execute(
        self, submission: Submission, case: StoredCase, stage: RunStage, limits: Limits | None = None
    ) -> ProgramResult:
        """Run `submission` on the input of `case`, with other `limits` if they are given."""
        wanted = self.wanted(submission, case, stage)
        return self.runner.run(wanted if limits is None else replace(wanted, limits=limits))

    def wanted(self, submission: Submission, case: StoredCase, stage: RunStage) -> ProgramRun:
        """Return the run of `submission` on the input of `case`."""
        # A problem with a checker may have many right outputs, so no expected beginning is known.
        expected = case.answer if self.known.checker.program is None and not self.known.checker.values else None
        options = self.problem.options_of(case.origin, sample=case.sample) or CaseOptions()
        return ProgramRun(
            replace(submission.program, args=options.args) if options.args else submission.program,
            case.data,
            self.known.limits,
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
        wanted = ProgramRun(nobody, case.data, self.known.limits, self.problem.id, stage, subject, case.id)
        return self.runner.follow(checked(reruns, wanted, self._check_of(case), output, answer))

    def _check_of(self, case: StoredCase) -> OutputCheck:
        """Return how answers to `case` are checked. Some of a problem's own inputs have their own flags."""
        options = self.problem.options_of(case.origin, sample=case.sample)
        checker = self.known.checker if options is None else replace(self.known.checker, flags=options.checker)
        if checker.program is not self.problem.checker.program:
            return OutputCheck(checker, on_odd=lambda execution: True)  # it passed a trial when it was brought
        return OutputCheck(checker, on_odd=lambda execution: self.validators.hold(checker, execution))

    def judge(self, submission: Submission, case: StoredCase, stage: RunStage) -> None:
        """Run `submission` on `case`, which has an answer, and store the verdict. Skip one that is left out."""
        if submission.name not in self.log.left_out:
            self.settle(submission, case, stage)
            self.progress.advance(self.problem.id)

    def settle(
        self, submission: Submission, case: StoredCase, stage: RunStage, ran: ProgramResult | None = None
    ) -> tuple[Judgement, ProgramResult]:
        """Store the verdict on `submission` that follows from `ran`. Return the judgement and the result that counts.

        A surprising result is first confirmed elsewhere, and may be replaced. A run without a result at the end of the
        budget, or cut there, leaves no verdict.

        Args:
            submission, case, stage: the run.
            ran: its result; None: run it.
        """
        wanted = self.wanted(submission, case, stage)
        limits, left_s = wanted.limits, self._left_for_runs_s()
        if cut := left_s < limits.wall_s:
            wanted = replace(wanted, limits=replace(limits, wall_s=max(left_s, _LEAST_S)))
        if ran is None:
            ran = self.clock.timed(lambda: self.runner.run(wanted))
        judgement = self._judgement(wanted, case, ran)
        cut = cut and judgement.verdict is Verdict.TIME_LIMIT and _used_s(ran) < limits.cpu_s
        if cut or (judgement.verdict is Verdict.UNJUDGED and self.late):
            return judgement, ran  # as if it had not begun: there is no time for it
        if _surprises(submission, judgement):
            again = self.runner.confirm(wanted, ran)
            if again != ran:
                judgement = self._judgement(wanted, case, again)
            ran = again
        if judgement.verdict is Verdict.COMPILE_ERROR:
            # Do this first: if the run dies in between, there must be no verdict without the submission being left out.
            self.log.leave_out(submission.name, f"does not compile: {judgement.note}")
        verdict = judgement.verdict
        kills = not submission.accepted and verdict.kills and verdict is not Verdict.COMPILE_ERROR
        self.log.judged(submission.name, case.id, verdict, _used_s(ran), judgement.note)
        if kills:
            self.unconfirmed.add(submission, case, ran)
        return judgement, ran

    def _judgement(self, wanted: ProgramRun, case: StoredCase, ran: ProgramResult) -> Judgement:
        return self.runner.follow(judgement_of(self.runner.reruns, wanted, ran, self._check_of(case), case.answer))


def _used_s(ran: ProgramResult) -> float:
    return ran.execution.time_s if ran.execution else 0.0


def _surprises(submission: Submission, judgement: Judgement) -> bool:
    if judgement.verdict is Verdict.COMPILE_ERROR:
        return True
    return (submission.accepted and judgement.verdict.kills) or judgement.verdict is Verdict.JUDGE_ERROR
