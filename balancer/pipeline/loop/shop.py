"""The workshop of one problem: what a generator may use of the run that it works for.

Decides what a validator or a checker of a generator's must do before it is believed. It must not know generators.
"""

from balancer.pipeline.judging.verdict import ACCEPT, checker_files, checker_program
from balancer.pipeline.loop.workshop import Aid
from balancer.pipeline.results.records import Stage
from balancer.pipeline.results.store import StoredCase
from balancer.pipeline.running.runner import ProgramRun
from balancer.pipeline.running.sample import VALIDATOR_LIMITS, Sample
from balancer.problem import Checker, Submission
from balancer.program import Execution, Limits, Program, Status

__all__ = ["SampleWorkshop"]

_LIMITS = Limits(cpu_s=10.0, wall_s=30.0)


class SampleWorkshop:
    """What a run offers to the generators of one problem. See `balancer.pipeline.loop.workshop.Workshop`.

    Attributes:
        round: the round that is about to begin.
        many_answers: the right solutions disagree on the own tests, so a checker is wanted.
    """

    def __init__(self, sample: Sample, *, many_answers: bool) -> None:
        self._sample = sample
        self._notes: list[str] = []
        self.round = 0
        self.many_answers = many_answers

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` somewhere; None and why if no endpoint could."""
        return self._run(program, stdin, {}, _LIMITS)

    def trial(self, aid: Aid, program: Program) -> str:
        """Return what is wrong with a validator or a checker, in one line; "": nothing."""
        own = [case for case in self._sample.store.cases(self._sample.problem.id) if case.sample]
        if aid == "validator":
            return next((why for case in own if (why := self._refuses(program, case))), "")
        if aid == "checker":
            right = self._sample.usable(accepted=True)
            return next((why for case in own for each in right if (why := self._rejects(program, case, each))), "")
        return ""

    def use(self, aid: Aid, program: Program) -> None:
        """Let the run use a program that has passed its trial, from this round on."""
        store, problem = self._sample.store, self._sample.problem.id
        if aid == "checker" and store.rounds.kept(problem, aid) != program:
            store.adopt_checker(problem, program, self.round)
        else:
            store.rounds.keep(problem, aid, program, self.round)

    def used(self, aid: Aid) -> Program | None:
        """Return the program that is used, from this round or an earlier one."""
        return self._sample.store.rounds.kept(self._sample.problem.id, aid)

    def note(self, line: str) -> None:
        """Tell people one line, which is kept with the problem."""
        self._notes.append(line)

    def taken_notes(self) -> list[str]:
        """Return the lines since the last time."""
        notes, self._notes = self._notes, []
        return notes

    # -- inside --------------------------------------------------------------------------------------

    def _run(
        self, program: Program, stdin: bytes, files: dict[str, bytes], limits: Limits
    ) -> tuple[Execution | None, str]:
        problem = self._sample.problem.id
        ran = self._sample.runner.run(
            ProgramRun(program, stdin, limits, problem, Stage.GENERATE, program.name, 0, files)
        )
        return ran.execution, ran.note

    def _refuses(self, program: Program, case: StoredCase) -> str:
        execution, why = self._run(program, case.data, {}, VALIDATOR_LIMITS)
        return _complaint(execution, why, f"on the known input {case.origin.detail!r}")

    def _rejects(self, program: Program, case: StoredCase, right: Submission) -> str:
        ran, _ = self._run(right.program, case.data, {}, self._sample.limits)
        if ran is None or ran.status is not Status.FINISHED or ran.exit_code != 0 or case.answer is None:
            return ""  # nothing that a checker could be held against
        judge = checker_program(Checker(program))
        assert judge is not None
        execution, why = self._run(judge, ran.stdout, checker_files(case.data, case.answer), VALIDATOR_LIMITS)
        return _complaint(execution, why, f"on what a right solution prints for the known input {case.origin.detail!r}")


def _complaint(execution: Execution | None, why: str, where: str) -> str:
    if execution is None:
        return f"it could not be tried: {why}"
    if execution.status is Status.FINISHED and execution.exit_code == ACCEPT:
        return ""
    words = execution.stderr.decode(errors="replace").strip().splitlines()
    ended = execution.status.value if execution.exit_code is None else f"exit code {execution.exit_code}"
    return f"it ends with {ended} instead of exit code 42 {where}{': ' + words[-1][:160] if words else ''}"
