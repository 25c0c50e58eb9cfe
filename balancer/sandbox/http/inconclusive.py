"""Inconclusive ends: a server's own limit was reached, or its compiler is not fit.

Decides when the end of a run is the server's doing, so that it never becomes a verdict. Pure. A program may forge the
words that are looked for, to its own cost only: it is not judged.
"""

import re

from balancer.program import Execution, Limits, Status

__all__ = ["doubt_of_compiler", "doubt_of_limits"]

_TAIL_BYTES = 2**14
_UNFIT = re.compile(
    rb"unrecognized command[- ]line option"  # a compiler too old for our flags
    rb"|Killed signal terminated program"  # by whom, the compiler does not know
    rb"|virtual memory exhausted|[Oo]ut of memory|[Cc]annot allocate memory|No space left on device"
    rb"|^\S*(?:run|compile)(?:\.sh)?: line \d+: .*(?:command not found|No such file or directory|cannot execute)",
    re.MULTILINE,
)


def doubt_of_compiler(words: bytes) -> str:
    """Return why the compiler, or the script that starts a program, could not do its part; "" if nothing says so."""
    found = _UNFIT.search(words[-_TAIL_BYTES:])
    return found[0].decode("utf-8", "replace").strip() if found else ""


def doubt_of_limits(execution: Execution, asked: Limits, given: Limits) -> str:
    """Return why the end of a run says nothing, as the server gave less than was asked for; "" if it says something.

    Args:
        execution: how the program ended, under the limits `given`.
        asked: what it may use.
        given: what the server let it use at most.
    """
    if execution.status is Status.TIME_LIMIT:
        if execution.cpu_measured and execution.time_s >= asked.cpu_s:
            return ""
        if given.cpu_s < asked.cpu_s:
            return f"it stops programs after {given.cpu_s:g} s of CPU time, and {asked.cpu_s:g} s were asked for"
        if given.wall_s < asked.wall_s:
            return f"it stops programs after {given.wall_s:g} s of wall time, and {asked.wall_s:g} s were asked for"
    if execution.status is Status.MEMORY_LIMIT and given.memory_bytes < asked.memory_bytes:
        return f"it gives programs {given.memory_bytes} bytes of memory, and {asked.memory_bytes} were asked for"
    if execution.status is Status.OUTPUT_LIMIT and given.output_bytes < asked.output_bytes:
        return f"it keeps {given.output_bytes} bytes of output, and {asked.output_bytes} were asked for"
    return ""
