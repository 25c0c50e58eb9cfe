"""From `Limits` to the kernel's resource limits, as arguments of util-linux `prlimit`.

Decides which rlimit stands for which limit. It must not know how a program is started. What rlimits cannot
hold (wall time, the total of all processes, output through pipes) is held elsewhere.
"""

import math
import resource
from collections.abc import Iterator

from balancer.program import Limits

__all__ = ["FILE_BYTES", "prlimit_arguments"]

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


def prlimit_arguments(limits: Limits, *, processes: int | None, file_bytes: int = FILE_BYTES) -> tuple[str, ...]:
    """Return `prlimit` arguments that stand for `limits`.

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
    return tuple(_arguments(wanted))


def _arguments(wanted: dict[str, tuple[int, int]]) -> Iterator[str]:
    for name, (soft, hard) in wanted.items():
        # A hard limit can only be lowered (the program runs without privileges), so stay below the present one.
        ceiling = resource.getrlimit(_KINDS[name])[1]
        yield f"--{name}={_text(_lower(soft, ceiling))}:{_text(_lower(hard, ceiling))}"


def _lower(first: int, second: int) -> int:
    finite = [value for value in (first, second) if value != resource.RLIM_INFINITY]
    return min(finite, default=resource.RLIM_INFINITY)


def _text(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)
