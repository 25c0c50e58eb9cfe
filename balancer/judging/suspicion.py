"""Suspect results: ends that an overloaded server may have caused, and rules for rechecks. Pure.

Decides which ends are doubted, the limits of the next run, and the result of both runs. A time limit counts only if two
runs agree on it. A late one never counts. If CPU time is measured, only the end of wall time is doubted.
"""

from dataclasses import replace
from enum import Enum

from balancer.program import Execution, Limits, Status

__all__ = ["Recheck", "Suspicion", "second_limits", "settled", "shows_overload", "suspicion_of"]

_MOST_FACTOR = 10.0
_MOST_S = 1000.0
_HONEST = 1.1  # an honest time limit ends within this factor of the limit; see docs/sandbox.md
_COMPILE_FACTOR = 2.0


class Suspicion(Enum):
    """Why an end is doubted."""

    STARVED = "starved"  # wall time ran out with CPU time to spare
    LATE = "late"  # the server stopped the program so late that it must have been busy
    EMPTY = "empty"  # nothing was printed, so the program may hardly have run
    PARTIAL = "partial"  # the output is the beginning of the right answer
    DOUBTFUL = "doubtful"  # the executor says that its endpoint may be the cause, e.g. a slow compiler


class Recheck(Enum):
    """The result of a recheck."""

    CONFIRMED = "confirmed"  # the same end
    CLEARED = "cleared"  # another end, which counts
    UNJUDGED = "unjudged"  # it could not be run again, or that server was busy too


def shows_overload(execution: Execution, limits: Limits) -> bool:
    """Return whether this end shows that the endpoint was overloaded."""
    if execution.status is Status.TIME_LIMIT:
        late = not execution.cpu_measured and execution.time_s > _HONEST * min(limits.cpu_s, limits.wall_s)
        return late or execution.doubtful
    return execution.doubtful and execution.status is Status.COMPILE_ERROR


def suspicion_of(execution: Execution, limits: Limits, expected: bytes | None) -> Suspicion | None:
    """Return why `execution` is doubted; None if it is not.

    Args:
        execution: the end of the program.
        limits: of the run.
        expected: the expected output, if only one output is right.
    """
    if execution.status is not Status.TIME_LIMIT:
        return Suspicion.DOUBTFUL if execution.doubtful else None
    if execution.cpu_measured:
        return Suspicion.STARVED if execution.time_s < limits.cpu_s else None
    if shows_overload(execution, limits):
        return Suspicion.LATE
    if not execution.stdout.strip():
        return Suspicion.EMPTY
    return Suspicion.PARTIAL if _is_beginning(execution.stdout, expected) else None


def _is_beginning(output: bytes, expected: bytes | None) -> bool:
    """Return whether the words of `output` begin those of `expected`. A last word that may be cut is ignored."""
    if expected is None:
        return False
    printed, wanted = output.split(), expected.split()
    whole = printed if output[-1:].isspace() else printed[:-1]
    return len(printed) <= len(wanted) and bool(whole) and whole == wanted[: len(whole)]


def second_limits(suspicion: Suspicion, execution: Execution, limits: Limits, expected: bytes | None) -> Limits:
    """Return the limits of the next run: the same, or longer in proportion to the missing output.

    A compiler that ran out of time gets twice as much.
    """
    if suspicion is Suspicion.DOUBTFUL:
        return replace(limits, compile_s=_COMPILE_FACTOR * limits.compile_s)
    beginning = suspicion is Suspicion.PARTIAL or _is_beginning(execution.stdout, expected)
    if suspicion is Suspicion.STARVED or not beginning or not expected:
        return limits
    factor = min(_MOST_FACTOR, len(expected) / max(1, len(execution.stdout)))
    factor = max(1.0, min(factor, _MOST_S / limits.cpu_s))
    return replace(limits, cpu_s=limits.cpu_s * factor, wall_s=limits.wall_s * factor)


def settled(
    first: Execution, second: Execution | None, limits: Limits, asked: Limits, *, alone: bool, last: bool
) -> tuple[Execution | None, Recheck] | None:
    """Return the execution that counts after both runs, and what the second one showed. None: run it once more.

    If the second run had more time and needed it, it confirms the first: the program is too slow.

    Args:
        first: the doubted end.
        second: the end of the other run; None: the infrastructure failed.
        limits: of the first run.
        asked: of the second run, which may have had more time.
        alone: whether no other run of ours was on the second endpoint. Then starving counts, and a wall time limit.
        last: whether there is no further run.
    """
    if second is None:
        return None, Recheck.UNJUDGED
    if first.doubtful and first.status is not Status.TIME_LIMIT:
        return second, Recheck.CONFIRMED if second.doubtful else Recheck.CLEARED
    if second.status is Status.TIME_LIMIT:
        if shows_overload(second, asked):  # or it waited for a core, which is not the program's fault
            return (None, Recheck.UNJUDGED) if last else None
        own = second.cpu_measured and second.time_s >= asked.cpu_s
        return (second, Recheck.CONFIRMED) if own or alone or last else None
    if second.time_s <= _HONEST * limits.cpu_s:
        return second, Recheck.CLEARED
    if second.cpu_measured or alone or last:
        return first, Recheck.CONFIRMED
    return None
