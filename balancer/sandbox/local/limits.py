"""From `Limits` to the kernel's resource limits, set from outside or by util-linux `prlimit`.

Decides which rlimit stands for which limit. It must not know how a program is started. What rlimits cannot
hold (wall time, the total of all processes, output through pipes) is held elsewhere.
"""

import math
import resource
from collections.abc import Mapping

from balancer.program import Limits

__all__ = ["FILE_BYTES", "prlimit_arguments", "rlimits_of", "set_rlimits"]

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
