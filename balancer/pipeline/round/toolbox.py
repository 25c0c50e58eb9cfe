"""Toolbox of one problem: what a generator may use of the run.

Decides from when a program is used, and that none is tried twice. The trial of a validator or checker from a generator
decides whether it is used: it must accept what is known to be right, and refuse what cannot be right.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.runner import ProgramRun
from balancer.judging.verdict import ACCEPT, REJECT, checker_files, checker_program
from balancer.pipeline.proposing import ProgramRole, ended
from balancer.pipeline.results.problem_log import StoredCase
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.round.checking import exit_code
from balancer.pipeline.round.sample import Sample
from balancer.problem import Checker, Submission
from balancer.program import Execution, Limits, Program, Status

__all__ = ["NOT_TRIED", "SampleToolbox", "Trial", "leave_out_row_programs"]

_LIMITS = Limits(cpu_s=10.0, wall_s=30.0)
NOT_TRIED = "it could not be tried: "  # begins a complaint that says nothing about the program
_MOST_FOREIGN = 12  # answers to other inputs in the trial of a checker
_KNOWN = 20  # known tests in the trial of a row's checker
_NONSENSE = b"no-answer\x01to anything\n"

_Run = Callable[[Program, bytes, Mapping[str, bytes], Limits], tuple[Execution | None, str]]


class SampleToolbox:
    """What a run offers to one generator of a problem. See `balancer.pipeline.proposing.Toolbox`.

    Attributes:
        round: the round that begins next.
        cpu_s: CPU seconds of all programs that the generator ran so far, as far as they were measured.
    """

    def __init__(self, sample: Sample, *, many_answers: bool) -> None:
        self._sample = sample
        self._notes: list[str] = []
        self._many_answers = many_answers
        self._tried: dict[tuple[ProgramRole, Program], str] = {}
        self.round = 0
        self.cpu_s = 0.0

    def for_another(self) -> "SampleToolbox":
        """Return the toolbox of another generator: its time and its runs are counted apart, the rest is shared."""
        made = copy.copy(self)
        made.cpu_s = 0.0
        return made

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs."""
        return self._sample.runner.languages

    @property
    def many_answers(self) -> bool:
        """Whether the accepted submissions disagree on the own tests, or did before there was a checker."""
        return self._many_answers or self.used("checker") is not None

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` on some endpoint. Return (None, why) if none could."""
        return self._run(program, stdin, {}, _LIMITS)

    def trial(self, aid: ProgramRole, program: Program) -> str:
        """Return what is wrong with a validator or a checker, in one line; "" if nothing."""
        if (aid, program) not in self._tried:
            why = Trial(self._sample, program, self._run).of(aid)
            if why.startswith(NOT_TRIED):
                return why
            self._tried[aid, program] = why
        return self._tried[aid, program]

    def row_trial(self, program: Program) -> str:
        """Return what is wrong with the checker of a row, in one line; "" if nothing."""
        return Trial(self._sample, program, self._run).of_row_checker()

    def use(self, aid: ProgramRole, program: Program) -> None:
        """Use a program that has passed its trial, from this round on."""
        if aid == "checker":
            self.note("right solutions disagree on the own tests: the checker of a generator decides")
        self._sample.log.bring(aid, program.language, program.source, program.name)

    def used(self, aid: ProgramRole) -> Program | None:
        """Return the program in use, from this round or an earlier one; None if there is none."""
        return self._sample.log.brought.get(aid)

    def now(self, what: str) -> None:
        """Say what is being done for the problem."""
        self._sample.progress.now(self._sample.problem.id, what)

    def note(self, line: str) -> None:
        """Keep a line about the problem, for the report."""
        self._notes.append(line)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped if the run is stopped."""
        self._sample.runner.pause(seconds)

    def taken_notes(self) -> list[str]:
        """Remove and return the lines so far."""
        notes = self._notes.copy()
        del self._notes[: len(notes)]
        return notes

    # -- inside --------------------------------------------------------------------------------------

    def _run(
        self, program: Program, stdin: bytes, files: Mapping[str, bytes], limits: Limits
    ) -> tuple[Execution | None, str]:
        problem = self._sample.problem.id
        ran = self._sample.runner.run(
            ProgramRun(program, stdin, limits, problem, RunStage.GENERATE, program.name, 0, files)
        )
        measured = ran.execution is not None and ran.execution.cpu_measured
        self.cpu_s += ran.execution.time_s if ran.execution is not None and measured else 0.0
        return ran.execution, ran.note


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial of one program.

    Args:
        sample: the problem, whose own data is used.
        program: the validator or the checker.
        run: runs a program on an input, with files and limits. Returns (None, why) if no endpoint could.
    """

    sample: Sample
    program: Program
    run: _Run

    def of(self, aid: ProgramRole) -> str:
        """Return what is wrong with the program as an `aid`, in one line; "" if nothing."""
        own = [case for case in self.sample.log.cases() if case.sample]
        if aid == "validator":
            return _first(self._as_validator(own))
        if aid == "checker":
            return _first(self._as_checker(own))
        return ""

    def of_row_checker(self) -> str:
        """Return what is wrong with the checker of a row; "" if nothing.

        It must accept the outputs of the known tests. Its right solutions are not asked: some are wrong.
        """
        own = [case for case in self.sample.log.cases() if case.sample]
        return _first(self._on_known_answers([case for case in own if case.answer is not None][:_KNOWN]))

    def _on_known_answers(self, own: list[StoredCase]) -> Iterator[str]:
        for case in own:
            assert case.answer is not None
            execution, why = self._judge(case, case.answer)
            yield _unless(ACCEPT, execution, why, f"on the output of the known test {case.origin.detail!r}")
        for case in [each for each in own if each.answer and each.answer.split()][:1]:
            yield self._on_nonsense(case, b"", "an empty output")
            yield self._on_nonsense(case, _NONSENSE, "an output that is not an answer")

    # -- a validator ---------------------------------------------------------------------------------

    def _as_validator(self, own: list[StoredCase]) -> Iterator[str]:
        for case in own:
            execution, why = self.run(self.program, case.data, {}, VALIDATOR_LIMITS)
            yield _unless(ACCEPT, execution, why, f"on the known input {case.origin.detail!r}")
        if all(case.data.split() for case in own):
            execution, why = self.run(self.program, b"", {}, VALIDATOR_LIMITS)
            if execution is None:
                yield NOT_TRIED + why
            elif exit_code(execution) == ACCEPT:
                yield "it accepts an empty input"

    # -- a checker -----------------------------------------------------------------------------------

    def _as_checker(self, own: list[StoredCase]) -> Iterator[str]:
        right = self.sample.known.usable(accepted=True)
        for case in own:
            for submission in right:
                yield self._on_a_right_output(case, submission)
        answered = [case for case in own if case.answer is not None and case.answer.split()]
        for case in answered[:1]:
            yield self._on_nonsense(case, b"", "an empty output")
            yield self._on_nonsense(case, _NONSENSE, "an output that is not an answer")
        yield self._on_foreign_answers(answered)

    def _on_a_right_output(self, case: StoredCase, right: Submission) -> str:
        ran, _ = self.run(right.program, case.data, {}, self.sample.known.limits)
        if ran is None or ran.status is not Status.FINISHED or ran.exit_code != 0 or case.answer is None:
            return ""  # nothing to compare a checker with
        execution, why = self._judge(case, ran.stdout)
        where = f"on the output of a right solution for the known input {case.origin.detail!r}"
        return _unless(ACCEPT, execution, why, where)

    def _on_nonsense(self, case: StoredCase, output: bytes, what: str) -> str:
        execution, why = self._judge(case, output)
        return _unless(REJECT, execution, why, f"on {what}")

    def _on_foreign_answers(self, answered: list[StoredCase]) -> str:
        """Return a complaint if it accepts the answers to all other inputs. One or two may be right by chance."""
        pairs = [
            (case, other)
            for case in answered
            for other in answered
            if case.answer is not None and other.answer is not None and case.answer.split() != other.answer.split()
        ]
        for case, other in pairs[:_MOST_FOREIGN]:
            assert other.answer is not None
            execution, why = self._judge(case, other.answer)
            if execution is None:
                return NOT_TRIED + why
            if exit_code(execution) != ACCEPT:
                return _unless(REJECT, execution, why, f"on the answer to an input other than {case.origin.detail!r}")
        return "it accepts, for every known input, the answers to all others" if len(pairs) > 1 else ""

    def _judge(self, case: StoredCase, output: bytes) -> tuple[Execution | None, str]:
        judge = checker_program(Checker(self.program))
        assert judge is not None
        assert case.answer is not None
        return self.run(judge, output, checker_files(case.data, case.answer), VALIDATOR_LIMITS)


def leave_out_row_programs(sample: Sample) -> None:
    """Try the checker and the validators of a row on its known tests, and leave out those that err. They may be wrong.

    A run that goes on tries none: what an earlier session decided stays.
    """
    problem, log = sample.problem, sample.log
    toolbox = SampleToolbox(sample, many_answers=False)
    begun = log.has_begun(0)
    left_out = log.left_out
    programs = [("validator", each) for each in problem.input_validators]
    if problem.checker.program is not None and problem.checker.instead is not None:
        programs.append(("checker", problem.checker.program))
    for role, program in programs:
        if role == "validator" and program.name in left_out:
            continue  # that is said where validators begin
        why = left_out.get(program.name, "")
        if not why and not begun:
            why = _unfit(sample, toolbox, role, program)
        if why:
            log.leave_out(program.name, why)
            line = f"the row's {role} is left out: {why}"
            log.trouble(line)
            sample.progress.say(f"{problem.id}: {line}")


def _unfit(sample: Sample, toolbox: SampleToolbox, role: str, program: Program) -> str:
    """Return why a program of a row cannot be used; "" if it can, or if it could not be tried."""
    if program.language not in toolbox.languages:
        return f"no endpoint runs {program.language}"
    why = toolbox.row_trial(program) if role == "checker" else toolbox.trial("validator", program)
    return "" if why.startswith(NOT_TRIED) else why


def _first(complaints: Iterable[str]) -> str:
    return next(filter(None, complaints), "")


def _unless(wanted: int, execution: Execution | None, why: str, where: str) -> str:
    if execution is None:
        return NOT_TRIED + why
    if exit_code(execution) == wanted:
        return ""
    how, _, words = ended(execution).partition(": ")
    return f"it ends with {how} instead of exit code {wanted} {where}{': ' + words if words else ''}"
