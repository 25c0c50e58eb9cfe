"""Verdict rules: what an execution means for a submission.

From how a program ended, and from what an output validator says of its output, follows the verdict. Pure: nothing
here runs a program. Where a problem has an output validator of its own, the caller runs it and hands its execution
in.
"""

from dataclasses import dataclass, replace

from balancer.judging.compare import compare, parse_flags
from balancer.problem import Checker, Verdict
from balancer.program import Execution, Program, Status

__all__ = [
    "ACCEPT",
    "REJECT",
    "Judgement",
    "checker_files",
    "checker_odd",
    "checker_program",
    "checker_says",
    "judge_end",
    "judge_output",
]

ACCEPT, REJECT = 42, 43  # exit codes of input and output validators (problem package format)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and one line on why."""

    verdict: Verdict
    note: str = ""


_ENDS = {
    Status.COMPILE_ERROR: Verdict.COMPILE_ERROR,
    Status.TIME_LIMIT: Verdict.TIME_LIMIT,
    Status.MEMORY_LIMIT: Verdict.RUN_TIME_ERROR,
    Status.OUTPUT_LIMIT: Verdict.WRONG_ANSWER,
}


def judge_end(execution: Execution) -> Judgement | None:
    """Return the verdict that follows from how the program ended, or None if its output decides."""
    if execution.status in _ENDS:
        return Judgement(_ENDS[execution.status], execution.message or execution.status.value.replace("_", " "))
    if execution.exit_code != 0:
        return Judgement(Verdict.RUN_TIME_ERROR, execution.message or f"exit code {execution.exit_code}")
    return None


def judge_output(checker: Checker, output: bytes, answer: bytes) -> Judgement:
    """Compare with the default output validator, as the problem's flags tell it to."""
    comparison = compare(output, answer, parse_flags(checker.flags))
    return Judgement(Verdict.ACCEPTED if comparison.accepted else Verdict.WRONG_ANSWER, comparison.reason)


def checker_program(checker: Checker) -> Program | None:
    """Return the problem's own output validator with its arguments, or None if it uses the default one."""
    if checker.program is None:
        return None
    program = checker.program
    arguments = ("input.txt", "answer.txt", "feedback/", *checker.flags)
    return replace(program, args=arguments)


def checker_files(data: bytes, answer: bytes) -> dict[str, bytes]:
    """Return the files that the arguments of `checker_program` name; an empty one makes the feedback folder."""
    return {"input.txt": data, "answer.txt": answer, "feedback/.keep": b""}


def checker_odd(execution: Execution) -> bool:
    """Return whether the problem's own output validator has not judged: it ended otherwise than it must."""
    return execution.status is not Status.FINISHED or execution.exit_code not in (ACCEPT, REJECT)


def checker_says(execution: Execution) -> Judgement:
    """Return what the exit code of the problem's own output validator says.

    A validator that ends in any other way has not judged: that is never counted against the program.
    """
    if execution.status is Status.FINISHED and execution.exit_code == ACCEPT:
        return Judgement(Verdict.ACCEPTED)
    if execution.status is Status.FINISHED and execution.exit_code == REJECT:
        return Judgement(Verdict.WRONG_ANSWER, "the output validator rejects it")
    ended = execution.status.value if execution.exit_code is None else f"exit code {execution.exit_code}"
    words = execution.stderr.decode(errors="replace").strip().splitlines()
    note = f"the output validator failed ({ended}){': ' + words[-1][:200] if words else ''}; it must exit with 42 or 43"
    return Judgement(Verdict.UNJUDGED, note)
