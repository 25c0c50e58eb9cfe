"""Input validators and output validators of a problem, and trials of those that do not answer.

Decides what the end of a validator means. Exit code 42 accepts and 43 refuses. Any other end says nothing about the
input, and the run is made elsewhere too. Old validators use other codes, so such a validator is tried on known inputs.
One that answers there refuses by a failed assertion, too.
If it ends with 0 on the problem's own data and with another code on nonsense, 0 accepts. The codes on nonsense refuse.
A validator that answers on no known input is left out and reported.

Output validators: after an odd end, a trial decides whether the validator can judge. It cannot if it does not compile,
or answers on no known answer. Then nothing of the problem is judged, and that is reported. If it can, the odd end is a
judge error: it says nothing of the submission, and the input is contested.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from balancer.errors import BalancerError
from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.pending import RunStage
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.judging.verdict import ACCEPT, REJECT, checker_files, checker_odd, checker_program
from balancer.pipeline.proposing import ended
from balancer.pipeline.results.problem_log import CaseState, ProblemLog, StoredCase
from balancer.problem import CaseOptions, Checker, Problem
from balancer.program import Execution, Program, Status

__all__ = ["CannotJudge", "Validators", "compile_words", "exit_code"]

_PROBES = 5  # known inputs for the trial of a validator
_NONSENSE = (b"no input of this problem \x01\n", b"")
_ABORTED = -6  # a failed `assert` in C or C++ ends with SIGABRT
_ASSERTIONS = {
    # Not those of the libraries themselves, of which the program is the cause: the heap's, and C++'s with quotes alike.
    _ABORTED: re.compile(rb"^(?!.*\bmalloc\.c:).*Assertion `.*' failed", re.MULTILINE),
    1: re.compile(rb"^AssertionError\b", re.MULTILINE),
}
_OLD_ACCEPT = 0
_MOST_LINES = 3
_MOST_LINE = 120
_MOST_PRINTED = 4096  # bytes at the end of its output that are used
_KNOWN_ANSWERS = 3  # known answers for the trial of a checker


@dataclass(frozen=True, slots=True)
class _Codes:
    """The exit codes with which a validator accepts and refuses. `sure`: found in a trial."""

    accepts: int = ACCEPT
    refuses: frozenset[int] = frozenset({REJECT})
    sure: bool = False

    def says(self, execution: Execution) -> bool | None:
        """Return whether the input is valid; None if the validator did not answer."""
        if execution.status is not Status.FINISHED or execution.exit_code is None:
            return None
        if execution.exit_code == self.accepts:
            return True
        refused = execution.exit_code in self.refuses or (self.sure and _asserted(execution))
        return False if refused else None

    def odd(self, execution: Execution) -> bool:
        return self.says(execution) is None


def _asserted(execution: Execution) -> bool:
    """Return whether an assertion of the program has failed: it refuses the input, in its own words."""
    words = _ASSERTIONS.get(execution.exit_code or 0)
    return words is not None and words.search(execution.stderr[-_MOST_PRINTED:]) is not None


class CannotJudge(BalancerError):
    """Nothing of a problem can be judged, because its output validator does not work."""


@dataclass(slots=True)
class Validators:
    """The input validators of one problem, and the trial of its output validator. Thread-safe.

    Args:
        problem: its own data is used for trials.
        runner: runs the validators.
        log: of the problem; it keeps the results of trials.
        programs: returns the validators that an input must pass now.
        say: is called with a line for each validator that does not work.
    """

    problem: Problem
    runner: Runner
    log: ProblemLog
    programs: Callable[[], tuple[Program, ...]]
    say: Callable[[str], object]
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _unfit: str | None = None  # what is wrong with the output validator; None: it was not tried

    def meet(self) -> None:
        """Leave out validators that no endpoint can run. Report again those left out in an earlier session."""
        known = self.runner.languages
        left_out = self.log.left_out
        for program in self.problem.input_validators:
            if program.language not in known:
                runs = ", ".join(sorted(known))
                self._leave_out(program, f"no endpoint runs {program.language} (they run: {runs})")
            elif program.name in left_out:
                self._leave_out(program, left_out[program.name])

    def check(self, case: StoredCase) -> tuple[CaseState, str]:
        """Return the state of an input, and why, in one line.

        INVALID: a validator refuses it. UNJUDGED: the infrastructure failed. UNCHECKED: a validator does not answer, or
        none works.
        """
        for program in self.programs():
            state, note = self._ask(program, case)
            if state is not CaseState.VALID:
                return state, note
        if not case.sample and not self.programs() and not self.problem.by_agreement:
            return CaseState.UNCHECKED, "no input validator of the problem works"
        return CaseState.VALID, ""

    def says(self, program: Program, execution: Execution) -> bool | None:
        """Return whether the input is valid, from an execution of `program`; None if it did not answer."""
        return self._codes(program).says(execution)

    # -- one validator -------------------------------------------------------------------------------

    def _ask(self, program: Program, case: StoredCase) -> tuple[CaseState, str]:
        codes = self._codes(program)
        options = self.problem.options_of(case.origin, sample=case.sample)
        ran = self._run(program, case.data, codes, case.id, options)
        if ran.execution is None:
            return CaseState.UNJUDGED, ran.note
        if codes.odd(ran.execution) and not codes.sure:
            if not self._try(program):
                return CaseState.UNJUDGED, f"{program.name}: {ended(ran.execution)}"
            if program not in self.programs():
                return CaseState.VALID, ""  # left out: the other validators decide
            codes = self._codes(program)
        said = codes.says(ran.execution)
        if said is not None:
            return (CaseState.VALID, "") if said else (CaseState.INVALID, _refusal(program, ran.execution))
        # The machine may be slow, so a later session tries again. A crash on two endpoints is the validator's own.
        late = ran.execution.status is Status.TIME_LIMIT
        why = f"{program.name} did not decide whether it is valid: {ended(ran.execution)}"
        return CaseState.UNJUDGED if late else CaseState.UNCHECKED, why

    def _codes(self, program: Program) -> _Codes:
        stored = self.log.codes.get(program.name)
        return _Codes(*stored, sure=True) if stored else _Codes()

    def _run(
        self, program: Program, data: bytes, codes: _Codes, case: int = 0, options: CaseOptions | None = None
    ) -> ProgramResult:
        stage, name = RunStage.VALIDATE_INPUT, program.name
        if options is not None:
            program = replace(program, args=options.validators.get(name, program.args))
        files = dict(options.files) if options else {}
        return self.runner.run_twice(
            ProgramRun(
                program, data, VALIDATOR_LIMITS, self.problem.id, stage, name, case, files, odd=codes.odd, witness=True
            )
        )

    # -- a trial -------------------------------------------------------------------------------------

    def _try(self, program: Program) -> bool:
        """Find the exit codes of the validator, or leave it out. Return False if the infrastructure failed."""
        with self._lock:  # one trial, however many threads met an odd end
            if self._codes(program).sure or program not in self.programs():
                return True
            own = self.problem.data[:_PROBES]
            options = [self.problem.options_of(each.origin, sample=True) for each in own]
            tried = [*zip((each.data for each in own), options, strict=True), *((data, None) for data in _NONSENSE)]
            ends: list[Execution] = []
            for data, told in tried:
                execution = self._run(program, data, _Codes(), options=told).execution
                if execution is None:
                    return False
                ends.append(execution)
                if len(ends) == 2 and all(each.status is Status.COMPILE_ERROR for each in ends):
                    break
            found = _found(ends[: len(own)], ends[len(own) :])
            if isinstance(found, str):
                self._leave_out(program, found)
            else:
                self.log.set_codes(program.name, found.accepts, sorted(found.refuses))
            return True

    def _leave_out(self, program: Program, why: str) -> None:
        self.log.leave_out(program.name, why)
        rest = "the other input validators decide"
        if not self.programs():
            rest = "made-up inputs count by agreement" if self.problem.by_agreement else "no made-up input is used"
        self.report(f"the input validator {program.name} is left out: {why}; {rest}")

    def report(self, line: str) -> None:
        """Say what a person must know first, now and in the report."""
        self.log.trouble(line)
        self.say(f"{self.problem.id}: {line}")

    # -- the output validator ------------------------------------------------------------------------

    def hold(self, checker: Checker, first: Execution) -> bool:
        """Try a validator whose run ended oddly, with `first`, unless it was tried before.

        Returns:
            Whether it can judge; False if the infrastructure failed, so that this is not known.

        Raises:
            CannotJudge: it cannot judge.
        """
        with self._lock:
            if self._unfit is None:
                self._unfit = self._checker_wrong(checker, first)
                if self._unfit:
                    name = checker.program.name if checker.program else "-"
                    self.report(f"nothing can be judged: the output validator {name}: {self._unfit}")
            if self._unfit:
                raise CannotJudge(self._unfit)
            return self._unfit is not None

    def _checker_wrong(self, checker: Checker, first: Execution) -> str | None:
        """Return what is wrong with the validator; "" if it judges a known answer, None if that is not known."""
        program = checker_program(checker)
        known = [case for case in self.problem.data if case.answer is not None][:_KNOWN_ANSWERS]
        ends = [first]
        for case in known:
            assert program is not None
            assert case.answer is not None
            ran = self.runner.run_twice(
                ProgramRun(program, case.answer, VALIDATOR_LIMITS, self.problem.id, RunStage.REFERENCE, program.name, 0,
                           checker_files(case.data, case.answer), odd=checker_odd)
            )  # fmt: skip
            if ran.execution is None:
                return None
            if not checker_odd(ran.execution):
                return ""
            ends.append(ran.execution)
        if all(end.status is Status.COMPILE_ERROR for end in ends):
            return compile_words(first)
        if not known:
            return ""
        return f"it decided none of the {len(known)} known answers that it was tried on: {ended(ends[-1])}"


def _found(known: list[Execution], nonsense: list[Execution]) -> _Codes | str:
    """Return the codes of a validator, from its ends on known inputs and on nonsense; or what is wrong with it."""
    if all(execution.status is Status.COMPILE_ERROR for execution in (*known, *nonsense)):
        return compile_words((*known, *nonsense)[0])
    old = bool(known) and all(exit_code(execution) == _OLD_ACCEPT for execution in known)
    codes = {exit_code(execution) for execution in nonsense}
    if old and codes == {_OLD_ACCEPT}:
        return "it ends with exit code 0 on all known inputs, but also on nonsense"
    if known and not old and all(map(_Codes().odd, known)):
        return f"it decided none of the {len(known)} known inputs that it was tried on: {ended(known[0])}"
    accepts = _OLD_ACCEPT if old else ACCEPT
    refuses = {code for code in codes if code is not None and (code >= 0 or code == _ABORTED)}
    if REJECT in codes:  # what else it ends with is no refusal
        refuses = set()
    return _Codes(accepts, frozenset(refuses - {accepts, ACCEPT} | {REJECT}), sure=True)


def compile_words(execution: Execution) -> str:
    """Return a note that a program does not compile, with the compiler's message."""
    words = ended(execution).removeprefix("compile error").removeprefix(": ") or execution.message
    return f"it does not compile{f': {words}' if words else ''}"


def exit_code(execution: Execution) -> int | None:
    """Return the exit code; None if the program did not end by itself."""
    return execution.exit_code if execution.status is Status.FINISHED else None


def _refusal(program: Program, execution: Execution) -> str:
    printed = execution.stderr if execution.stderr.strip() else execution.stdout
    lines = [line.strip() for line in printed[-_MOST_PRINTED:].decode(errors="replace").splitlines() if line.strip()]
    words = " / ".join(line[:_MOST_LINE] for line in lines[-_MOST_LINES:])
    return f"{program.name} refuses it{f': {words}' if words else ''}"
