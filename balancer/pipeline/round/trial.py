"""Trial of a validator or a checker that a generator has brought, before it is believed.

Decides what either must do: to accept what is known to be right is half of it, for a program that accepts everything
does that; so it must also turn down what cannot be right. It must not know generators, nor rounds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.verdict import ACCEPT, REJECT, checker_files, checker_program
from balancer.pipeline.proposing.toolbox import ProgramRole, ended
from balancer.pipeline.results.store import StoredCase
from balancer.pipeline.round.checking import exit_code
from balancer.pipeline.round.sample import Sample
from balancer.problem import Checker, Submission
from balancer.program import Execution, Limits, Program, Status

__all__ = ["NOT_TRIED", "Trial"]

NOT_TRIED = "it could not be tried: "  # how a complaint begins that says nothing of the program
_MOST_FOREIGN = 12  # answers to other inputs that a checker is shown
_NONSENSE = b"no-answer\x01to anything\n"

_Run = Callable[[Program, bytes, Mapping[str, bytes], Limits], tuple[Execution | None, str]]


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial of one program.

    Args:
        sample: the problem, whose own data the program is held against.
        program: the validator or the checker.
        run: runs a program on an input, beside files, within limits; None and why if no endpoint could.
    """

    sample: Sample
    program: Program
    run: _Run

    def of(self, aid: ProgramRole) -> str:
        """Return what is wrong with the program as an `aid`, in one line; "": nothing."""
        own = [case for case in self.sample.store.cases(self.sample.problem.id) if case.sample]
        if aid == "validator":
            return _first(self._as_validator(own))
        if aid == "checker":
            return _first(self._as_checker(own))
        return ""

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
        right = self.sample.usable(accepted=True)
        for case in own:
            for submission in right:
                yield self._on_a_right_output(case, submission)
        answered = [case for case in own if case.answer is not None and case.answer.split()]
        for case in answered[:1]:
            yield self._on_nonsense(case, b"", "an empty output")
            yield self._on_nonsense(case, _NONSENSE, "an output that is no answer")
        yield self._on_foreign_answers(answered)

    def _on_a_right_output(self, case: StoredCase, right: Submission) -> str:
        ran, _ = self.run(right.program, case.data, {}, self.sample.limits)
        if ran is None or ran.status is not Status.FINISHED or ran.exit_code != 0 or case.answer is None:
            return ""  # nothing that a checker could be held against
        execution, why = self._judge(case, ran.stdout)
        where = f"on what a right solution prints for the known input {case.origin.detail!r}"
        return _unless(ACCEPT, execution, why, where)

    def _on_nonsense(self, case: StoredCase, output: bytes, what: str) -> str:
        execution, why = self._judge(case, output)
        return _unless(REJECT, execution, why, f"on {what}")

    def _on_foreign_answers(self, answered: list[StoredCase]) -> str:
        """Return a complaint if it accepts the answer to every other input: one or two may be right by chance."""
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
                return _unless(REJECT, execution, why, f"on the answer to another input than {case.origin.detail!r}")
        return "it accepts, for every known input, the answers to all others" if len(pairs) > 1 else ""

    def _judge(self, case: StoredCase, output: bytes) -> tuple[Execution | None, str]:
        judge = checker_program(Checker(self.program))
        assert judge is not None
        assert case.answer is not None
        return self.run(judge, output, checker_files(case.data, case.answer), VALIDATOR_LIMITS)


def _first(complaints: Iterable[str]) -> str:
    return next(filter(None, complaints), "")


def _unless(wanted: int, execution: Execution | None, why: str, where: str) -> str:
    if execution is None:
        return NOT_TRIED + why
    if exit_code(execution) == wanted:
        return ""
    how, _, words = ended(execution).partition(": ")
    return f"it ends with {how} instead of exit code {wanted} {where}{': ' + words if words else ''}"
