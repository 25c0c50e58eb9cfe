"""What /proc says about a process and those below it: who they are, and the CPU time they have used so far.

Read-only, and never exact: processes come and go meanwhile. It must not know why anybody asks.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["children_of", "cpu_of_tree", "processes_reading"]

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """Return the direct children of `pid`; empty if it is gone, or the kernel does not tell (CONFIG_PROC_CHILDREN)."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return children


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of `pid`, of what lives below it and of all that these have waited for.

    The kernel rounds each figure down to a clock tick (10 ms), so this is never more than what was used.
    """
    return sum(map(_cpu_of, _tree(pid)))


def processes_reading(inode: int) -> list[int]:
    """Return the processes whose standard input is the pipe with this inode, as far as we may know."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if os.readlink(f"/proc/{int(name)}/fd/0") == f"pipe:[{inode}]":
                found.append(int(name))
    return found


def _tree(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += children_of(current)


def _cpu_of(pid: int) -> float:
    """Return what `pid` has used, and its dead children: utime, stime, cutime, cstime of proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        # The second field, the name, may hold anything, even ") "; the numbers follow its last parenthesis.
        numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return sum(map(int, numbers[11:15])) * _TICK_S
    return 0.0
