"""Suspect results: ends that an overloaded server may have caused, and what further runs say of them.

Decides which ends are not believed at once, with which limits the program is run again, and what the runs mean
together: a time limit counts only if two runs agree on it, and a late one never counts, however often it is seen. Where
CPU time is measured there is nothing to doubt unless wall time ran out first. Pure: it must not know where a program
runs, nor how often.
"""

from dataclasses import replace
from enum import Enum

from balancer.program import Execution, Limits, Status

__all__ = ["Recheck", "Suspicion", "second_limits", "settled", "shows_overload", "suspicion_of"]

_MOST_FACTOR = 10.0
_MOST_S = 1000.0
_HONEST = 1.1  # an honest time limit ends within so many times the limit; see docs/sandbox.md
_COMPILE_FACTOR = 2.0


class Suspicion(Enum):
    """Why an end is not believed at once."""

    STARVED = "starved"  # wall time ran out with CPU time to spare
    LATE = "late"  # the server stopped the program so long after the limit that it must have been busy
    EMPTY = "empty"  # nothing was printed, as when a program hardly ran
    PARTIAL = "partial"  # what was printed is the beginning of the right answer
    DOUBTFUL = "doubtful"  # the executor itself says that its endpoint may be to blame, e.g. for a slow compiler


class Recheck(Enum):
    """What a further run said."""

    CONFIRMED = "confirmed"  # the same again
    CLEARED = "cleared"  # it ended otherwise, and that is what counts
    UNJUDGED = "unjudged"  # it could not be run again, or that server was busy as well


def shows_overload(execution: Execution, limits: Limits) -> bool:
    """Return whether this end says that its endpoint had too much to do, whatever it says of the program."""
    if execution.status is Status.TIME_LIMIT:
        late = not execution.cpu_measured and execution.time_s > _HONEST * min(limits.cpu_s, limits.wall_s)
        return late or execution.doubtful
    return execution.doubtful and execution.status is Status.COMPILE_ERROR


def suspicion_of(execution: Execution, limits: Limits, expected: bytes | None) -> Suspicion | None:
    """Return why `execution` is not to be believed; None if it is.

    Args:
        execution: how the program ended.
        limits: what it was allowed.
        expected: what it should have printed, where outputs are compared with one right answer.
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
    """Return whether `output`, but for its last word, which may be cut, begins the words of `expected`."""
    if expected is None:
        return False
    printed, wanted = output.split(), expected.split()
    whole = printed if output[-1:].isspace() else printed[:-1]
    return len(printed) <= len(wanted) and bool(whole) and whole == wanted[: len(whole)]


def second_limits(suspicion: Suspicion, execution: Execution, limits: Limits, expected: bytes | None) -> Limits:
    """Return what the program may use when it is run again: the same, or as much longer as its output was short.

    A compiler whose time ran out gets twice as much.
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
    """Return what counts after both runs, and what the second one said; None: run it once more.

    A second run that was given more time and needed it has found the same: the program is too slow.

    Args:
        first: the end that is not believed.
        second: what another run came to; None: the infrastructure failed.
        limits: of the first run.
        asked: of the second one, which may have been given more.
        alone: whether the endpoint of the second one had nothing else of ours to do: then starving counts, and a time
            limit by the wall clock.
        last: whether there will be no further run.
    """
    if second is None:
        return None, Recheck.UNJUDGED
    if first.doubtful and first.status is not Status.TIME_LIMIT:
        return second, Recheck.CONFIRMED if second.doubtful else Recheck.CLEARED
    if second.status is Status.TIME_LIMIT:
        if shows_overload(second, asked):  # or it was kept waiting for a core, which no program can help
            return (None, Recheck.UNJUDGED) if last else None
        own = second.cpu_measured and second.time_s >= asked.cpu_s
        return (second, Recheck.CONFIRMED) if own or alone or last else None
    if second.time_s <= _HONEST * limits.cpu_s:
        return second, Recheck.CLEARED
    if second.cpu_measured or alone or last:
        return first, Recheck.CONFIRMED
    return None
