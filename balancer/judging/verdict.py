"""Verdict rules: from a program's end, and from an output validator's exit code, to a verdict. Pure.

If a problem has its own output validator, the caller runs it and passes its execution here.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from balancer.judging.compare import Comparison, compare, parse_flags
from balancer.judging.values import compare_values
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
    "compiler_error",
    "judge_end",
    "judge_output",
    "judge_value",
]

_SHOWN = 160  # characters of a program's output
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
    """Return the judgement that follows from the program's end; None if the output decides."""
    if execution.status in _ENDS:
        words = execution.message or compiler_error(execution) or execution.status.value.replace("_", " ")
        return Judgement(_ENDS[execution.status], words)
    if execution.exit_code != 0:
        return Judgement(Verdict.RUN_TIME_ERROR, execution.message or f"exit code {execution.exit_code}")
    return None


def compiler_error(execution: Execution) -> str:
    """Return the first error of a compiler that refused a program, in one line; "" if there is none."""
    if execution.status is not Status.COMPILE_ERROR:
        return ""
    lines = [line.strip() for line in execution.stderr.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[-1] if lines else "")[:_SHOWN]


_parsed = lru_cache(parse_flags)


def judge_output(checker: Checker, output: bytes, answer: bytes) -> Judgement:
    """Compare with the default output validator, with the problem's flags; or as values, if they are values.

    Of values, each line of `answer` is a right one.
    """
    if not checker.values:
        return _of(compare(output, answer, _parsed(checker.flags)))
    try:
        right = [json.loads(line) for line in answer.split(b"\n") if line.strip()]
    except (ValueError, RecursionError):
        return Judgement(Verdict.WRONG_ANSWER, "the expected value cannot be read")
    return _of(compare_values(output, right, _parsed(checker.flags)))


def judge_value(checker: Checker, output: bytes, answers: bytes) -> Judgement:
    """Return whether a returned value is right, as a judgement.

    Args:
        checker: its flags may set the tolerance, e.g. `("float_tolerance", "1e-9")`; the default is 1e-6.
        output: the value, as JSON.
        answers: a list of the right values, as JSON.
    """
    return _of(compare_values(output, json.loads(answers), _parsed(checker.flags)))


def _of(comparison: Comparison) -> Judgement:
    return Judgement(Verdict.ACCEPTED if comparison.accepted else Verdict.WRONG_ANSWER, comparison.reason)


def checker_program(checker: Checker) -> Program | None:
    """Return the problem's own output validator with its arguments; None if it uses the default one."""
    if checker.program is None:
        return None
    program = checker.program
    arguments = ("input.txt", "answer.txt", "feedback/", *checker.flags)
    return replace(program, args=arguments)


def checker_files(data: bytes, answer: bytes) -> dict[str, bytes]:
    """Return the files that the arguments of `checker_program` name. The empty file creates the feedback folder."""
    return {"input.txt": data, "answer.txt": answer, "feedback/.keep": b""}


def checker_odd(execution: Execution) -> bool:
    """Return whether the problem's own output validator did not judge, because of its status or exit code."""
    return execution.status is not Status.FINISHED or execution.exit_code not in (ACCEPT, REJECT)


def checker_says(execution: Execution) -> Judgement:
    """Return the judgement of the problem's own output validator, by its exit code.

    Any other end is no judgement, and never counts against the program.
    """
    if execution.status is Status.FINISHED and execution.exit_code == ACCEPT:
        return Judgement(Verdict.ACCEPTED)
    if execution.status is Status.FINISHED and execution.exit_code == REJECT:
        return Judgement(Verdict.WRONG_ANSWER, "the output validator rejected it")
    ended = execution.status.value if execution.exit_code is None else f"exit code {execution.exit_code}"
    words = execution.stderr.decode(errors="replace").strip().splitlines()
    note = f"the output validator failed ({ended}){': ' + words[-1][:200] if words else ''}; it must exit with 42 or 43"
    return Judgement(Verdict.UNJUDGED, note)
