"""The records of one sandboxed command: what to start, what it may use, why it was stopped, how it ended.

Decides nothing. What a command is to whoever wants it run, and what its end means for a program, is not said here.

From `Limits` to the kernel's resource limits, set from outside or by util-linux `prlimit`. Decides which rlimit stands
for which limit. What rlimits cannot hold (wall time, the total of all processes, output through pipes) is held
elsewhere.
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
    STOP = "stopped"


@dataclass(frozen=True, slots=True)
class SandboxCommand:
    """What to start: a sandbox that waits to be told what to run.

    Args:
        argv: program and arguments; no shell is involved.
        env: the whole environment.
        cwd: working directory.
        nested: True if the program runs in its own pid namespace, below the started process. The
            namespace's first process is then the one to kill: with it dies everything inside.
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
    """What a program may use once it has begun.

    Args:
        cpu_s: CPU seconds of all its processes together until it is killed.
        wall_s: seconds until it is killed.
        output_bytes: bytes kept from stdout, and from stderr; one more and it is killed.
        fetches: how many files it sends of its working directory; together they may be as long as an output.
        rlimits: the soft and the hard limits that its first process gets, by the names of `prlimit`.
    """

    cpu_s: float
    wall_s: float
    output_bytes: int
    fetches: int = 0
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a command ended.

    Attributes:
        ready: whether the program was started at all.
        exit_code: its exit code, negative for a signal; None if it was stopped.
        stopped_by: why it was stopped, or None if it ended by itself.
        lost: its sandbox was killed by somebody else; nothing is known about the program.
        stdout, stderr: what it printed, at most `output_bytes` each.
        waited_s: for how long it was ready to run and had no core, as far as can be told; only where wall time ran out.
        starved: the kernel killed a process of it because all together had used up their memory.
        tampered: what was told of its end is not what the sandbox says; only the program can have done that.
        cpu_s: CPU seconds of all its processes where a control group counts them, else of the command and all that it
            waited for or that was seen at work; None if they could not be told.
        peak_bytes: the most memory that all its processes had together where a control group counts it, else that of
            the largest one, where that can be told.
        fetched: the files that were asked for, in order; None for one that was not there at the end.
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
    """Return the soft and the hard resource limits that stand for `limits`, by the names of `prlimit`.

    Args:
        limits: what the program may use.
        processes: the value for RLIMIT_NPROC, or None to leave it alone.
        file_bytes: the largest file it may write.
    """
    # The supervisor watches the CPU time and is exact; this is for the case that it cannot. The kernel knows only
    # whole seconds, and counts them by sampling: it was seen to kill at 0.97 s of 1 s, hence one second more. At
    # the soft limit comes SIGXCPU, which a program may ignore; a second later comes SIGKILL.
    cpu = math.ceil(limits.cpu_s) + 1
    wanted = {
        "cpu": (cpu, cpu + 1),
        "as": (limits.memory_bytes, limits.memory_bytes),
        "fsize": (file_bytes, file_bytes),
        "nofile": (_OPEN_FILES, _OPEN_FILES),
        "core": (0, 0),
        # Deep recursion is part of the trade; the address space bounds the stack anyway. A finite limit would
        # also be the size of each thread's stack in glibc.
        "stack": (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    }
    if processes is not None:
        wanted["nproc"] = (processes, processes)
    return {name: _bounded(_KINDS[name], *values) for name, values in wanted.items()}


def set_rlimits(pid: int, rlimits: Mapping[str, tuple[int, int]]) -> bool:
    """Give `pid` these limits; return False if that cannot be done."""
    try:
        for name, values in rlimits.items():
            resource.prlimit(pid, _KINDS[name], values)
    except (OSError, ValueError):
        return False
    return True


def prlimit_arguments(rlimits: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """Return the arguments by which util-linux `prlimit` sets `rlimits`."""
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
