"""A problem at work: what every step of the pipeline needs to know and to do.

Decides the limits of a run and how a submission is judged on a case. It must not know in which order
the steps come, which endpoints there are, nor how a report looks.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from balancer.hookspecs import Generator
from balancer.pipeline.judging.verdict import (
    Judgement,
    checker_files,
    checker_program,
    checker_says,
    judge_end,
    judge_output,
)
from balancer.pipeline.loop.workshop import EquippedGenerator
from balancer.pipeline.results.records import Stage
from balancer.pipeline.results.store import Store, StoredCase, StoredVerdict
from balancer.pipeline.running.progress import Progress
from balancer.pipeline.running.runner import ProgramRun, Runner
from balancer.problem import Checker, Problem, Submission, Verdict
from balancer.program import Execution, Limits, Program
from balancer.settings.pipeline import PipelineSettings

__all__ = ["VALIDATOR_LIMITS", "Sample"]

Item = TypeVar("Item")

# Validators are not raced against anything; they get ample time, whatever the problem's own limit is.
VALIDATOR_LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
_DEFAULT_MEMORY = 1024 * 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem with its settings, the runner and the store."""

    problem: Problem
    generators: Sequence[Generator | EquippedGenerator]
    settings: PipelineSettings
    runner: Runner
    store: Store
    progress: Progress

    @property
    def validators(self) -> tuple[Program, ...]:
        """The programs that a made-up input must pass: the problem's own, and the one that a generator has brought."""
        brought = self.store.rounds.kept(self.problem.id, "validator")
        return self.problem.input_validators if brought is None else (*self.problem.input_validators, brought)

    @property
    def checker(self) -> Checker:
        """How answers are compared: as the problem says, or by the program that a generator has brought."""
        brought = self.store.rounds.kept(self.problem.id, "checker")
        return self.problem.checker if brought is None else Checker(brought)

    def usable(self, *, accepted: bool) -> list[Submission]:
        """Return the accepted (or the wrong) submissions that are not left out, in the package's order."""
        left_out = self.store.left_out(self.problem.id)
        return [s for s in self.problem.submissions if s.accepted is accepted and s.name not in left_out]

    @property
    def limits(self) -> Limits:
        """What one run of a submission may use. Wall time only guards against sleepers: 3 x the limit + 2 s."""
        named_s = self.problem.time_limit_s
        cpu_s = named_s * self.settings.time_limit_factor if named_s else self.settings.time_limit_s
        return Limits(cpu_s=cpu_s, wall_s=3 * cpu_s + 2, memory_bytes=self.problem.memory_bytes or _DEFAULT_MEMORY)

    def in_threads(self, workers: int, act: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Do `act` for every item, `workers` at a time; the first failure stops the rest and is raised."""
        items = list(items)
        if len(items) < 2 or workers == 1:  # a thread costs more than it brings
            for item in items:
                act(item)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix=self.problem.id) as threads:
            futures = [threads.submit(act, item) for item in items]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            for future in waiting:
                future.cancel()
        for future in done:
            future.result()

    def execute(self, submission: Submission, case: StoredCase, stage: Stage) -> tuple[Execution | None, str]:
        """Run `submission` on the input of `case`; None and why if the infrastructure failed."""
        # With a checker of its own a problem may have many right outputs: then none has a known beginning.
        expected = case.answer if self.checker.program is None else None
        wanted = ProgramRun(
            submission.program,
            case.data,
            self.limits,
            self.problem.id,
            stage,
            submission.name,
            case.id,
            expected=expected,
        )
        ran = self.runner.run(wanted)
        return ran.execution, ran.note

    def check(self, output: bytes, case: StoredCase, answer: bytes, stage: Stage, subject: str) -> Judgement:
        """Say whether `output` is right for `case`, with the problem's own output validator if it has one."""
        checker = self.checker
        program = checker_program(checker)
        if program is None:
            return judge_output(checker, output, answer)
        files = checker_files(case.data, answer)
        ran = self.runner.run(
            ProgramRun(program, output, VALIDATOR_LIMITS, self.problem.id, stage, subject, case.id, files)
        )
        return Judgement(Verdict.UNJUDGED, ran.note) if ran.execution is None else checker_says(ran.execution)

    def judge(self, submission: Submission, case: StoredCase, stage: Stage) -> None:
        """Run `submission` on `case`, which has an answer, and store the verdict; nothing if it is left out by now."""
        if submission.name in self.store.left_out(self.problem.id):
            return
        execution, note = self.execute(submission, case, stage)
        self.settle(submission, case, execution, note, stage)
        self.progress.advance(self.problem.id)

    def settle(
        self, submission: Submission, case: StoredCase, execution: Execution | None, note: str, stage: Stage
    ) -> Judgement:
        """Store and return the verdict on `submission` that follows from its `execution` on `case`."""
        if execution is None:
            judgement = Judgement(Verdict.UNJUDGED, note)
        else:
            answer = execution.stdout if case.answer is None else case.answer
            judgement = judge_end(execution) or self.check(execution.stdout, case, answer, stage, submission.name)
        time_s = execution.time_s if execution else 0.0
        if judgement.verdict is Verdict.COMPILE_ERROR:
            # First: a run that dies between the two must not find a verdict of one that was never left out.
            self.store.leave_out(self.problem.id, submission.name, f"does not compile: {judgement.note}")
        verdict = StoredVerdict(submission.name, case.id, judgement.verdict, time_s, judgement.note)
        self.store.set_verdict(self.problem.id, verdict)
        return judgement
