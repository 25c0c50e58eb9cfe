"""The process tree, as /proc tells it: who is below a process, and the CPU time they have used so far.

Read-only, and never exact: processes come and go meanwhile. It must not know why anybody asks.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ProcessTreeCpu", "children_of", "processes_reading", "waited_for_cpu_s"]

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """Return the direct children of `pid`; empty if it is gone, or the kernel does not tell (CONFIG_PROC_CHILDREN)."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return children


class ProcessTreeCpu:
    """The CPU time of a process and all below it, looked at from time to time.

    What was waited for is in the books of who waited. What nobody waits for (a process may ignore the death of its
    children) is in nobody's; of it, what was seen counts.

    Attributes:
        seen_s: CPU seconds, as of the last look.
    """

    def __init__(self) -> None:
        self.seen_s = 0.0
        self._own: dict[tuple[int, int], int] = {}  # by process, which is told by its number and its start: clock ticks

    def look(self, pid: int) -> float:
        """Return the CPU seconds of `pid`, of what lives below it, and of what was seen there before.

        The kernel rounds each figure down to a clock tick (10 ms), so this is never more than what was used.
        """
        ticks = 0
        for process in _tree(pid):
            if times := _times_of(process):
                own, waited, start = times
                ticks += own + waited
                self._own[process, start] = own
        self.seen_s = max(self.seen_s, ticks * _TICK_S, sum(self._own.values()) * _TICK_S)
        return self.seen_s


def waited_for_cpu_s(pid: int) -> float:
    """Return for how many seconds `pid` and what lives below it were ready to run and had no core, all together.

    Those that asked to be served after others (`nice`, another policy) waited by their own choice, and do not count.
    """
    own = os.getpriority(os.PRIO_PROCESS, 0)
    waited_ns = 0
    for process in _tree(pid):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{process}/task"):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    folder = Path(f"/proc/{process}/task/{thread}")
                    fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                    if int(fields[16]) <= own and int(fields[38]) == os.SCHED_OTHER:
                        waited_ns += int((folder / "schedstat").read_bytes().split()[1])
    return waited_ns * 1e-9


def processes_reading(inode: int) -> list[int]:
    """Return the processes whose standard input is the pipe or socket with this inode, as far as we may know."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if os.readlink(f"/proc/{int(name)}/fd/0") in (f"pipe:[{inode}]", f"socket:[{inode}]"):
                found.append(int(name))
    return found


def _tree(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += children_of(current)


def _times_of(pid: int) -> tuple[int, int, int] | None:
    """Return what `pid` has used, what its dead children had, and when it began: see proc_pid_stat(5); clock ticks."""
    with contextlib.suppress(OSError):
        # The second field, the name, may hold anything, even ") "; the numbers follow its last parenthesis.
        numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        user, system, waited_user, waited_system = map(int, numbers[11:15])
        return user + system, waited_user + waited_system, int(numbers[19])
    return None
