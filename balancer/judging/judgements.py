"""Judgement of a program run, by its end and by its output. The pipeline and `balancer.judge` both use it.

Decides what a run may use, and how a checker program is run. It yields the runs of the checker, and does not wait.
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
from balancer.program import Execution, Limits, Status

__all__ = ["DEFAULT_MEMORY", "VALIDATOR_LIMITS", "Compare", "OutputCheck", "checked", "judgement_of", "limits_of"]

# Validators are not measured. They get ample time, independent of the problem's limit.
VALIDATOR_LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
DEFAULT_MEMORY = 1024 * 2**20
# A checker that meets the time limit may be on a slow machine, and one that does not compile has compiled elsewhere.
_ENDS_BY_ITSELF = (Status.FINISHED, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT)

Compare = Callable[[Checker, bytes, bytes], Judgement]


def limits_of(cpu_s: float, memory_bytes: int | None = None) -> Limits:
    """Return the limits of one run of a submission. Wall time, 3 x CPU time + 2 s, only stops sleeping programs."""
    return Limits(cpu_s=cpu_s, wall_s=3 * cpu_s + 2, memory_bytes=memory_bytes or DEFAULT_MEMORY)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """How the output of a run is checked.

    Attributes:
        checker: of the problem.
        compare: compares if the checker is not a program.
        on_odd: called with an end of the checker program that is no judgement. It returns whether the checker works
            on other outputs. Then this end is a judge error; else nothing is known.
    """

    checker: Checker
    compare: Compare = judge_output
    on_odd: Callable[[Execution], bool] = lambda execution: False


def judgement_of(
    reruns: Reruns, wanted: ProgramRun, ran: ProgramResult, check: OutputCheck, answer: bytes | None
) -> PendingRuns[Judgement]:
    """Return the judgement that follows from `ran`; UNJUDGED if nothing is known.

    Args:
        reruns: decides which runs are made.
        wanted: the run.
        ran: its result.
        check: how its output is checked.
        answer: the expected output. None: the output itself, so that only a checker program can refuse it.
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
    """Return the judgement of `output`, which `wanted` printed. Arguments as for `judgement_of`."""
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
    works = checker_odd(ran.execution) and check.on_odd(ran.execution)
    judgement = checker_says(ran.execution)
    if works and ran.execution.status in _ENDS_BY_ITSELF:
        return replace(judgement, verdict=Verdict.JUDGE_ERROR)
    return judgement
