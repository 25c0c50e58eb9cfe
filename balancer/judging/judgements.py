"""Judgement of a program run: by its end, and by its output as the checker sees it, which may take a run as well.

Decides what a run may use, and how a checker is asked. Judging itself is pure, and done in `balancer.judging`; this
yields the runs that it takes. The pipeline and `balancer.judge` judge by this alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from balancer.judging.pending import PendingRuns, ProgramResult, ProgramRun
from balancer.judging.reruns import Reruns
from balancer.judging.verdict import (
    Judgement,
    checker_files,
    checker_odd,
    checker_program,
    checker_says,
    judge_end,
    judge_output,
)
from balancer.problem import Checker, Verdict
from balancer.program import Execution, Limits

__all__ = ["DEFAULT_MEMORY", "VALIDATOR_LIMITS", "Compare", "OutputCheck", "checked", "judgement_of", "limits_of"]

# Validators are not raced against anything; they get ample time, whatever the problem's own limit is.
VALIDATOR_LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
DEFAULT_MEMORY = 1024 * 2**20

Compare = Callable[[Checker, bytes, bytes], Judgement]


def limits_of(cpu_s: float, memory_bytes: int | None = None) -> Limits:
    """Return what one run of a submission may use. Wall time only guards against sleepers: 3 x the limit + 2 s."""
    return Limits(cpu_s=cpu_s, wall_s=3 * cpu_s + 2, memory_bytes=memory_bytes or DEFAULT_MEMORY)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """How the output of a run is checked.

    Attributes:
        checker: how outputs are compared.
        compare: compares where the checker is no program.
        on_odd: is told of an end of the checker's program that says nothing.
    """

    checker: Checker
    compare: Compare = judge_output
    on_odd: Callable[[Execution], object] = lambda execution: None


def judgement_of(
    reruns: Reruns, wanted: ProgramRun, ran: ProgramResult, check: OutputCheck, answer: bytes | None
) -> PendingRuns[Judgement]:
    """Return what `ran`, which came of `wanted`, says of the program; UNJUDGED if nothing is known.

    Args:
        reruns: which runs are made.
        wanted: what was run.
        ran: what came of it.
        check: how its output is checked.
        answer: the expected output; None: the output itself, so that only the checker can refuse it.
    """
    if ran.execution is None:
        return Judgement(Verdict.UNJUDGED, ran.note)
    output = ran.execution.stdout
    by_end = judge_end(ran.execution)
    if by_end is not None:
        return by_end
    return (yield from checked(reruns, wanted, check, output, output if answer is None else answer))


def checked(
    reruns: Reruns, wanted: ProgramRun, check: OutputCheck, output: bytes, answer: bytes
) -> PendingRuns[Judgement]:
    """Say whether `output`, which `wanted` has printed, is right. Arguments as for `judgement_of`."""
    program = checker_program(check.checker)
    if program is None:
        return check.compare(check.checker, output, answer)
    asked = replace(
        wanted,
        program=program,
        stdin=output,
        limits=VALIDATOR_LIMITS,
        files=checker_files(wanted.stdin, answer),
        expected=None,
        odd=checker_odd,
        witness=True,
        key=None,
    )
    ran = yield from reruns.twice(asked)
    if ran.execution is None:
        return Judgement(Verdict.UNJUDGED, ran.note)
    if checker_odd(ran.execution):
        check.on_odd(ran.execution)
    return checker_says(ran.execution)
