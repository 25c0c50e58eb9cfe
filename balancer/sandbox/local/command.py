"""Data of one sandboxed command: what to start, its limits, why it was stopped, how it ended.

Also maps `Limits` to the kernel's resource limits, which are set from outside or by util-linux `prlimit`. Wall time,
totals over all processes, and output through pipes are limited elsewhere.
"""

import math
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from balancer.program import Limits

__all__ = [
    "FILE_BYTES",
    "ProcessLimits",
    "ProcessResult",
    "SandboxCommand",
    "StopReason",
    "prlimit_arguments",
    "rlimits_of",
    "set_rlimits",
]

FILE_BYTES = 64 * 2**20  # the largest file a program may write; also the size of its working directory
_OPEN_FILES = 256

_KINDS = {
    "cpu": resource.RLIMIT_CPU,
    "as": resource.RLIMIT_AS,
    "nproc": resource.RLIMIT_NPROC,
    "fsize": resource.RLIMIT_FSIZE,
    "nofile": resource.RLIMIT_NOFILE,
    "stack": resource.RLIMIT_STACK,
    "core": resource.RLIMIT_CORE,
}


class StopReason(Enum):
    """Why a command was stopped from outside."""

    CPU = "CPU time"
    WALL = "wall time"
    OUTPUT = "output"
    ASLEEP = "sleep"
    STOP = "stopped"


@dataclass(frozen=True, slots=True)
class SandboxCommand:
    """A sandbox to start, which waits until it gets a program to run.

    Args:
        argv: program and arguments, without a shell.
        env: the whole environment.
        cwd: working directory.
        nested: True if the program runs in its own pid namespace, below the started process. If the namespace's first
            process is killed, all processes inside die with it.
        owner: user id that may reopen the output pipes (/dev/stdout), or None for our own.
        reads: file descriptors that it inherits.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    nested: bool
    owner: int | None = None
    reads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of a program from its begin.

    Args:
        cpu_s: CPU seconds of all its processes together.
        wall_s: wall seconds.
        output_bytes: bytes kept from stdout, and from stderr; with one more it is killed.
        fetches: how many files of its working directory it sends; together they may be as long as an output.
        rlimits: soft and hard limits of its first process, by the names of `prlimit`.
        asleep_s: wall seconds for which none of its processes may do anything.
    """

    cpu_s: float
    wall_s: float
    output_bytes: int
    fetches: int = 0
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    asleep_s: float = math.inf


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
        peak_bytes: peak memory of all its processes together if a control group counts it, else that of the largest
            one, if known.
        fetched: the requested files, in order; None for one that did not exist at the end.
    """

    ready: bool
    exit_code: int | None
    stopped_by: StopReason | None
    lost: bool
    stdout: bytes
    stderr: bytes
    cpu_s: float | None
    peak_bytes: int | None
    fetched: tuple[bytes | None, ...] = ()
    waited_s: float = 0.0
    starved: bool = False
    tampered: bool = False


def rlimits_of(limits: Limits, *, processes: int | None, file_bytes: int = FILE_BYTES) -> dict[str, tuple[int, int]]:
    """Return the soft and hard resource limits for `limits`, by the names of `prlimit`.

    Args:
        limits: of the program.
        processes: value of RLIMIT_NPROC, or None to leave it unchanged.
        file_bytes: size of the largest file it may write.
    """
    # The supervisor watches the CPU time and is exact; this is for the case that it fails. The kernel knows only
    # whole seconds, and counts them by sampling: it was seen to kill at 0.97 s of 1 s, hence one second more. At
    # the soft limit comes SIGXCPU, which a program may ignore; a second later comes SIGKILL.
    cpu = math.ceil(limits.cpu_s) + 1
    wanted = {
        "cpu": (cpu, cpu + 1),
        "as": (limits.memory_bytes, limits.memory_bytes),
        "fsize": (file_bytes, file_bytes),
        "nofile": (_OPEN_FILES, _OPEN_FILES),
        "core": (0, 0),
        # Contest programs use deep recursion, and the address space limits the stack anyway. A finite limit would
        # also be the size of each thread's stack in glibc.
        "stack": (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    }
    if processes is not None:
        wanted["nproc"] = (processes, processes)
    return {name: _bounded(_KINDS[name], *values) for name, values in wanted.items()}


def set_rlimits(pid: int, rlimits: Mapping[str, tuple[int, int]]) -> bool:
    """Set the resource limits of `pid`; return False if that fails."""
    try:
        for name, values in rlimits.items():
            resource.prlimit(pid, _KINDS[name], values)
    except (OSError, ValueError):
        return False
    return True


def prlimit_arguments(rlimits: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """Return the arguments of util-linux `prlimit` that set `rlimits`."""
    return tuple(f"--{name}={_text(soft)}:{_text(hard)}" for name, (soft, hard) in rlimits.items())


def _bounded(kind: int, soft: int, hard: int) -> tuple[int, int]:
    # A hard limit can only be lowered (the program runs without privileges), so stay below the present one.
    ceiling = resource.getrlimit(kind)[1]
    return _lower(soft, ceiling), _lower(hard, ceiling)


def _lower(first: int, second: int) -> int:
    finite = [value for value in (first, second) if value != resource.RLIM_INFINITY]
    return min(finite, default=resource.RLIM_INFINITY)


def _text(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)
