"""Data of one sandboxed command: what to start, its limits, why it was stopped, how it ended.

Also maps `Limits` to the kernel's resource limits, which the shell of a sandbox sets. Wall time, totals over all
processes, and output through pipes are limited elsewhere.
"""

import math
import resource
from dataclasses import dataclass
from enum import Enum

from balancer.program import Limits

__all__ = [
    "FILE_BYTES",
    "ProcessResult",
    "StopReason",
    "limit_commands",
]

FILE_BYTES = 64 * 2**20  # the largest file a program may write; also the size of its working directory
_OPEN_FILES = 256


class StopReason(Enum):
    """Why a command was stopped from outside."""

    CPU = "CPU time"
    WALL = "wall time"
    OUTPUT = "output"
    STOP = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a command ended.

    Attributes:
        ready: whether the program was started.
        exit_code: its exit code, negative for a signal; None if it was stopped.
        stopped_by: why it was stopped; None if it ended by itself.
        lost: its sandbox was killed from outside; nothing is known about the program.
        stdout, stderr: its output, at most `output_bytes` each.
        waited_s: seconds in which it was ready to run but had no core, as far as known; only if wall time ran out.
        starved: the kernel killed one of its processes because together they had used up their memory.
        tampered: the report of its end is not the sandbox's; only the program can have done that.
        cpu_s: CPU seconds of all its processes if a control group counts them, else of the command and all processes
            that it waited for or that were seen at work; None if unknown.
        peak_bytes: peak memory of all its processes together, if a control group counts it.
    """

    ready: bool
    exit_code: int | None
    stopped_by: StopReason | None
    lost: bool
    stdout: bytes
    stderr: bytes
    cpu_s: float | None
    peak_bytes: int | None
    waited_s: float = 0.0
    starved: bool = False
    tampered: bool = False


def limit_commands(limits: Limits, *, processes: int | None, file_bytes: int = FILE_BYTES) -> tuple[str, ...]:
    """Return the commands of a POSIX shell that set the kernel's limits for `limits`, in an order that works.

    Args:
        limits: of the program.
        processes: value of RLIMIT_NPROC, or None to leave it unchanged.
        file_bytes: size of the largest file it may write.
    """
    # The supervisor watches the CPU time and is exact; this is for the case that it fails. The kernel knows only
    # whole seconds, and counts them by sampling: it was seen to kill at 0.97 s of 1 s, hence one second more. At
    # the soft limit comes SIGXCPU, which a program may ignore; a second later comes SIGKILL.
    cpu = math.ceil(limits.cpu_s) + 1
    commands = [
        f"ulimit -S -t {_bounded(resource.RLIMIT_CPU, cpu)}",
        f"ulimit -H -t {_bounded(resource.RLIMIT_CPU, cpu + 1)}",
        f"ulimit -f {_bounded(resource.RLIMIT_FSIZE, file_bytes, unit=512)}",
        f"ulimit -n {_bounded(resource.RLIMIT_NOFILE, _OPEN_FILES)}",
        "ulimit -c 0",
        # Contest programs use deep recursion, and the address space limits the stack anyway. A finite limit would
        # also be the size of each thread's stack in glibc.
        f"ulimit -s {_bounded(resource.RLIMIT_STACK, math.inf, unit=1024)}",
    ]
    if processes is not None:
        most = _bounded(resource.RLIMIT_NPROC, processes)
        commands.append(f"ulimit -p {most} 2>/dev/null || ulimit -u {most}")  # the letter is -u in bash
    commands.append(f"ulimit -v {_bounded(resource.RLIMIT_AS, limits.memory_bytes, unit=1024)}")  # the shell's, too
    return tuple(commands)


def _bounded(kind: int, value: float, *, unit: int = 1) -> str:
    """Return a limit in units of `ulimit`. A hard limit can only be lowered, so it is at most the present one."""
    ceiling = resource.getrlimit(kind)[1]
    lowest = min(value, math.inf if ceiling == resource.RLIM_INFINITY else ceiling)
    return "unlimited" if lowest == math.inf else str(math.ceil(lowest / unit))
