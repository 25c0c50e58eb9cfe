"""Sample: one problem under way, with its settings, runner, log and clock.

Decides how a submission is judged on a case. A shell: it reads the clock.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from balancer.hookspecs import Generator
from balancer.judging.judgements import OutputCheck, judgement_of
from balancer.judging.pending import RunStage
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.judging.verdict import Judgement
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import EquippedGenerator
from balancer.pipeline.results.problem_log import ProblemLog, StoredCase
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.checking import Validators
from balancer.pipeline.round.known import Known, ProblemClock
from balancer.problem import CaseOptions, Problem, Submission, Verdict
from balancer.program import Limits
from balancer.settings.pipeline import PipelineSettings

__all__ = ["Sample"]

_LEAST_S = 0.1  # wall seconds of a run at the end of the budget
_MOST_THREADS = 512
_MOST_BYTES = 4096  # longer outputs are not kept, to save memory


@dataclass(slots=True)
class Sample:
    """One problem with its settings, the runner and the store.

    Attributes:
        allowed_s: seconds for made-up inputs, over all sessions; None: no limit.
        seconds: a clock.
        known: what its round knows.
        unconfirmed: important runs that only one endpoint has made, until they are made again elsewhere.
        threads: for acts; whoever makes the sample ends them.
    """

    problem: Problem
    generators: Sequence[Generator | EquippedGenerator]
    settings: PipelineSettings
    runner: Runner
    store: Store
    progress: Progress
    allowed_s: float | None = None
    seconds: Callable[[], float] = time.monotonic
    log: ProblemLog = field(init=False)
    clock: ProblemClock = field(init=False)
    known: Known = field(init=False)
    validators: Validators = field(init=False)
    unconfirmed: dict[tuple[str, int], ProgramResult] = field(init=False)
    threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make the validators, and start the clock."""
        problem, say = self.problem, self.progress.say
        self.log = self.store.of(problem.id)
        self.clock = ProblemClock(self.log, self.allowed_s, self.seconds)
        plan = partial(self.progress.plan, problem.id)
        self.known = Known(problem, self.log, self.settings, self.clock, self.runner.languages, plan=plan)
        self.threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix=problem.id)
        self.unconfirmed = {}
        self.runner = self.runner.within(lambda: self.clock.left_for_runs_s)
        self.validators = Validators(problem, self.runner, self.log, self.known.validators, say)

    # -- one run -------------------------------------------------------------------------------------

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

    def tried(
        self, submission: Submission, case: StoredCase, stage: RunStage, limits: Limits | None = None
    ) -> tuple[Verdict, ProgramResult]:
        """Run `submission` on `case`, and store nothing. With other `limits`, if they are given.

        Raises:
            CannotJudge: the problem's own output validator does not work.
        """
        wanted = self.wanted(submission, case, stage)
        ran = self.runner.run(wanted if limits is None else replace(wanted, limits=limits))
        return self._judgement(wanted, case, ran).verdict, ran

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
        limits, left_s = wanted.limits, self.clock.left_for_runs_s
        if cut := left_s < limits.wall_s:
            wanted = replace(wanted, limits=replace(limits, wall_s=max(left_s, _LEAST_S)))
        if ran is None:
            ran = self.clock.timed(lambda: self.runner.run(wanted))
        judgement = self._judgement(wanted, case, ran)
        cut = cut and judgement.verdict is Verdict.TIME_LIMIT and _used_s(ran) < limits.cpu_s
        if cut or (judgement.verdict is Verdict.UNJUDGED and self.clock.late):
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
            self.keep_unconfirmed(submission, case, ran)
        return judgement, ran

    def keep_unconfirmed(self, submission: Submission, case: StoredCase, ran: ProgramResult) -> None:
        """Keep the result of an important run, unless another endpoint has confirmed it."""
        if ran.execution is None or ran.verified or len(ran.execution.stdout) > _MOST_BYTES:
            self.unconfirmed.pop((submission.name, case.id), None)
        else:
            self.unconfirmed[submission.name, case.id] = ran

    def _judgement(self, wanted: ProgramRun, case: StoredCase, ran: ProgramResult) -> Judgement:
        return self.runner.follow(judgement_of(self.runner.reruns, wanted, ran, self._check_of(case), case.answer))


def _used_s(ran: ProgramResult) -> float:
    return ran.execution.time_s if ran.execution else 0.0


def _surprises(submission: Submission, judgement: Judgement) -> bool:
    if judgement.verdict is Verdict.COMPILE_ERROR:
        return True
    return (submission.accepted and judgement.verdict.kills) or judgement.verdict is Verdict.JUDGE_ERROR
