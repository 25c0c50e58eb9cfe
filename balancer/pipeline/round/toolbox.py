"""Toolbox of one problem: what a generator may use of the run.

Decides from when a program is used, and that none is tried twice. The trial of a validator or checker from a generator
decides whether it is used: it must accept what is known to be right, and refuse what cannot be right.
"""

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.pending import RunStage
from balancer.judging.runner import ProgramRun
from balancer.judging.verdict import ACCEPT, REJECT, checker_files, checker_program
from balancer.pipeline.proposing import ProgramRole, ended
from balancer.pipeline.results.problem_log import StoredCase
from balancer.pipeline.round.checking import exit_code
from balancer.pipeline.round.sample import Sample
from balancer.problem import Checker
from balancer.program import Execution, Limits, Program, Status

__all__ = ["NOT_TRIED", "SampleToolbox", "leave_out_row_programs"]

_LIMITS = Limits(cpu_s=10.0, wall_s=30.0)
NOT_TRIED = "it could not be tried: "  # begins a complaint that says nothing about the program
_MOST_FOREIGN = 12  # answers to other inputs in the trial of a checker
_KNOWN = 20  # known tests in the trial of a row's checker
_NONSENSE = b"no-answer\x01to anything\n"

_Run = Callable[[Program, bytes, Mapping[str, bytes], Limits], tuple[Execution | None, str]]


class SampleToolbox:
    """What a run offers to one generator of a problem. See `balancer.pipeline.proposing.Toolbox`.

    Attributes:
        cpu_s: CPU seconds of all programs that the generator ran so far, as far as they were measured.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._notes: list[str] = []
        self._tried: dict[tuple[ProgramRole, Program], str] = {}
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
        return self._sample.known.many_answers or self.used("checker") is not None

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` on some endpoint. Return (None, why) if none could."""
        return self._run(program, stdin, {}, _LIMITS)

    def trial(self, aid: ProgramRole, program: Program) -> str:
        """Return what is wrong with a validator or a checker, in one line; "" if nothing."""
        if (aid, program) not in self._tried:
            probes = _validator_probes(self._sample, program)
            if aid == "checker":
                probes = _checker_probes(self._sample, program, self._run)
            why = self.first_wrong(probes)
            if why.startswith(NOT_TRIED):
                return why
            self._tried[aid, program] = why
        return self._tried[aid, program]

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
        self._sample.progress.plan(self._sample.problem.id, None, what)

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

    def first_wrong(self, probes: "_Probes") -> str:
        """Return the first complaint about a program, in one line; "" if there is none."""
        code: int | None = None
        with suppress(StopIteration):
            while not isinstance(probe := probes.send(code), str):
                execution, why = self._run(probe.program, probe.stdin, probe.files, VALIDATOR_LIMITS)
                if execution is None:
                    return NOT_TRIED + why
                code = exit_code(execution)
                if probe.right and code not in probe.right:
                    how, _, words = ended(execution).partition(": ")
                    told = f"it ends with {how} instead of exit code {probe.right[0]} {probe.where}"
                    return told + (f": {words}" if words else "")
            return probe
        return ""


# -- trials ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Probe:
    """A run of a program on trial: what it reads, the exit codes that are right (none: all), and where that is."""

    program: Program
    stdin: bytes
    files: Mapping[str, bytes]
    right: tuple[int, ...]
    where: str


_Probes = Generator[_Probe | str, int | None, None]
"""Yields probes, and is sent the exit code of each; or a complaint."""


def _validator_probes(sample: Sample, program: Program) -> _Probes:
    own = _own(sample)
    for case in own:
        yield _Probe(program, case.data, {}, (ACCEPT,), f"on the known input {case.origin.detail!r}")
    if all(case.data.split() for case in own) and (yield _Probe(program, b"", {}, (), "")) == ACCEPT:
        yield "it accepts an empty input"


def _known_probes(sample: Sample, program: Program) -> _Probes:
    """Probe the checker of a row on its known outputs. Its right solutions are not asked: some are wrong."""
    own = _own(sample)
    for case in [case for case in own if case.answer is not None][:_KNOWN]:
        where = f"on the output of the known test {case.origin.detail!r}"
        yield _checks(program, case, case.answer or b"", (ACCEPT,), where)
    yield from _nonsense_probes(program, own)


def _checker_probes(sample: Sample, program: Program, run: _Run) -> _Probes:
    own = _own(sample)
    for case in own:
        for right in sample.known.usable(accepted=True):
            ran, _ = run(right.program, case.data, {}, sample.known.limits)
            if ran is not None and ran.status is Status.FINISHED and ran.exit_code == 0 and case.answer is not None:
                where = f"on the output of a right solution for the known input {case.origin.detail!r}"
                yield _checks(program, case, ran.stdout, (ACCEPT,), where)
    yield from _nonsense_probes(program, own)
    # It must not accept the answers to all other inputs. One or two may be right by chance.
    answered = [case for case in own if case.answer is not None and case.answer.split()]
    pairs = [(a, b) for a in answered for b in answered if (a.answer or b"").split() != (b.answer or b"").split()]
    for case, other in pairs[:_MOST_FOREIGN]:
        where = f"on the answer to an input other than {case.origin.detail!r}"
        if (yield _checks(program, case, other.answer or b"", (REJECT, ACCEPT), where)) == REJECT:
            return
    if len(pairs) > 1:
        yield "it accepts, for every known input, the answers to all others"


def _nonsense_probes(program: Program, own: Sequence[StoredCase]) -> _Probes:
    for case in [each for each in own if each.answer and each.answer.split()][:1]:
        yield _checks(program, case, b"", (REJECT,), "on an empty output")
        yield _checks(program, case, _NONSENSE, (REJECT,), "on an output that is not an answer")


def _checks(program: Program, case: StoredCase, output: bytes, right: tuple[int, ...], where: str) -> _Probe:
    judge = checker_program(Checker(program)) or program
    return _Probe(judge, output, checker_files(case.data, case.answer or b""), right, where)


def _own(sample: Sample) -> list[StoredCase]:
    return [case for case in sample.log.cases() if case.sample]


def leave_out_row_programs(sample: Sample) -> None:
    """Try the checker and the validators of a row on its known tests, and leave out those that err. They may be wrong.

    A run that goes on tries none: what an earlier session decided stays.
    """
    problem, log, toolbox = sample.problem, sample.log, SampleToolbox(sample)
    begun = log.has_begun(0)
    # Validators that are left out already are named where validators begin.
    validators = [each for each in problem.input_validators if each.name not in log.left_out]
    trials = [("validator", each, _validator_probes(sample, each)) for each in validators]
    if (checker := problem.checker.program) is not None and problem.checker.instead is not None:
        trials.append(("checker", checker, _known_probes(sample, checker)))
    for role, program, probes in trials:
        why = log.left_out.get(program.name, "")
        if not why and not begun:
            known = program.language in toolbox.languages
            why = toolbox.first_wrong(probes) if known else f"no endpoint runs {program.language}"
        if why and not why.startswith(NOT_TRIED):
            log.leave_out(program.name, why)
            sample.validators.report(f"the row's {role} is left out: {why}")
