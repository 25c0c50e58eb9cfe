"""Time limits that an overloaded server may have caused, and what a second look at them says.

Decides which time limits are not believed at once, with which limits the program is run again, and what the two runs
mean together: a time limit counts only if two runs agree on it. Where CPU time is measured there is nothing to doubt
unless wall time ran out first. Pure: it must not know where a program runs, nor how often.
"""

from dataclasses import replace
from enum import Enum

from balancer.program import Execution, Limits, Status

__all__ = ["Look", "Suspicion", "second_limits", "settled", "suspicion_of"]

_MOST_FACTOR = 10.0
_MOST_S = 1000.0
_HONEST = 1.1  # an honest time limit ends within so many times the limit; see docs/sandbox.md


class Suspicion(Enum):
    """Why a time limit is not believed at once."""

    STARVED = "starved"  # wall time ran out with CPU time to spare
    LATE = "late"  # the server stopped the program so long after the limit that it must have been busy
    EMPTY = "empty"  # nothing was printed, as when a program hardly ran
    PARTIAL = "partial"  # what was printed is the beginning of the right answer


class Look(Enum):
    """What the second run said."""

    CONFIRMED = "confirmed"  # a time limit again
    CLEARED = "cleared"  # it ended within its time, and that is what counts
    UNJUDGED = "unjudged"  # it could not be run again


def suspicion_of(execution: Execution, limits: Limits, expected: bytes | None) -> Suspicion | None:
    """Return why the time limit of `execution` is not to be believed; None if it is, or if there is none.

    Args:
        execution: how the program ended.
        limits: what it was allowed.
        expected: what it should have printed, where outputs are compared with one right answer.
    """
    if execution.status is not Status.TIME_LIMIT:
        return None
    if execution.cpu_measured:
        return Suspicion.STARVED if execution.time_s < limits.cpu_s else None
    if not execution.stdout.strip():
        return Suspicion.EMPTY
    if _is_beginning(execution.stdout, expected):
        return Suspicion.PARTIAL
    return Suspicion.LATE if execution.time_s > _HONEST * min(limits.cpu_s, limits.wall_s) else None


def _is_beginning(output: bytes, expected: bytes | None) -> bool:
    """Return whether `output`, but for its last word, which may be cut, begins the words of `expected`."""
    if expected is None:
        return False
    printed, wanted = output.split(), expected.split()
    whole = printed if output[-1:].isspace() else printed[:-1]
    return len(printed) <= len(wanted) and bool(whole) and whole == wanted[: len(whole)]


def second_limits(suspicion: Suspicion, execution: Execution, limits: Limits, expected: bytes | None) -> Limits:
    """Return what the program may use when it is run again: the same, or as much longer as its output was short."""
    if suspicion is not Suspicion.PARTIAL or not expected:
        return limits
    factor = min(_MOST_FACTOR, len(expected) / max(1, len(execution.stdout)))
    factor = max(1.0, min(factor, _MOST_S / limits.cpu_s))
    return replace(limits, cpu_s=limits.cpu_s * factor, wall_s=limits.wall_s * factor)


def settled(first: Execution, second: Execution | None, limits: Limits) -> tuple[Execution | None, Look]:
    """Return what counts after both runs, and what the second one said.

    A second run that was given more time and needed it has found the same: the program is too slow.
    """
    if second is None:
        return None, Look.UNJUDGED
    if second.status is Status.TIME_LIMIT or second.time_s > _HONEST * limits.cpu_s:
        return (first if second.status is not Status.TIME_LIMIT else second), Look.CONFIRMED
    return second, Look.CLEARED
