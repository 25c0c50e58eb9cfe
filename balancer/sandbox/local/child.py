"""Child processes: start, CPU time, kill, and the pipes to read their output.

Also reads the process tree from /proc. That is read-only and never exact, because processes start and end meanwhile.
"""

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from balancer.sandbox.languages.layout import ENVIRONMENT
from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.isolation import Isolation, SandboxLayout
from balancer.sandbox.local.shutdown import is_readable

__all__ = [
    "BoundedPipe",
    "BoundedSocket",
    "ChildProcess",
    "ProcessTreeCpu",
    "children_of",
    "start",
    "waited_for_cpu_s",
]

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_CHUNK = 2**16  # what a pipe holds by default
_DEATH_S = 2.0  # timeout for a killed process, before its whole group is killed
_DEATHS_S = 60.0  # the same if those below it die first: many that want a core take their time on a busy machine


def children_of(pid: int) -> list[int]:
    """Return the direct children of `pid`; empty if it is gone, or if the kernel has no CONFIG_PROC_CHILDREN."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    return children


class ProcessTreeCpu:
    """CPU time of a process and all processes below it, sampled from time to time.

    A process that was waited for is counted by its parent. One that nobody waits for (a process may ignore the end of
    its children) is not counted by any other: for it, the last sample counts.

    Attributes:
        seen_s: CPU seconds at the last look.
    """

    def __init__(self) -> None:
        self.seen_s = 0.0
        self._own: dict[tuple[int, int], int] = {}  # clock ticks by process, identified by number and start

    def look(self, pid: int) -> float:
        """Return the CPU seconds of `pid`, of all processes below it, and of those seen there before.

        The kernel rounds each figure down to a clock tick (10 ms), so the result is never too high.
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
    """Return for how many seconds `pid` and the processes below it were ready to run but had no core, added up.

    Processes that chose a low priority (`nice`, another policy) do not count.
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


def _tree(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += children_of(current)


def _times_of(pid: int) -> tuple[int, int, int] | None:
    """Return the CPU time of `pid`, that of its dead children, and its start, in clock ticks: see proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        # The second field, the name, may hold anything, even ") "; the numbers follow its last parenthesis.
        numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        user, system, waited_user, waited_system = map(int, numbers[11:15])
        return user + system, waited_user + waited_system, int(numbers[19])
    return None


class BoundedPipe:
    """A pipe that keeps the first `limit` bytes written to it; the limit starts low.

    Args:
        owner: user id that may reopen the writing end (as /dev/stdout), or None for our own.

    Attributes:
        limit: bytes to keep.
        data: the bytes so far.
        over: whether more than `limit` bytes came.
        reader, writer: the file descriptors.
    """

    def __init__(self, owner: int | None = None) -> None:
        self.limit = _CHUNK
        self.data = bytearray()
        self.over = False
        self.reader, self.writer = self._ends()
        self._open = [self.reader, self.writer]
        os.set_blocking(self.reader, False)
        if owner is not None:
            os.fchown(self.writer, owner, owner)

    def _ends(self) -> tuple[int, int]:
        return os.pipe()

    def pull(self) -> bool:
        """Read one chunk; return False at the end of the file.

        Raises:
            BlockingIOError: there is nothing to read now.
        """
        chunk = os.read(self.reader, _CHUNK)
        room = self.limit - len(self.data)
        self.data += chunk[:room]
        self.over = self.over or len(chunk) > room
        return bool(chunk)

    def drain(self) -> None:
        """Read all that is there, up to the limit."""
        with contextlib.suppress(BlockingIOError):
            while not self.over and self.pull():
                pass

    def close_writer(self) -> None:
        """Close our writing end, so that the reader sees the end of the file."""
        self._close(self.writer)

    def close(self) -> None:
        """Close both ends. May be called twice."""
        for fd in tuple(self._open):
            self._close(fd)

    def _close(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            os.close(fd)


class BoundedSocket(BoundedPipe):
    """A bounded pipe in both directions. It cannot be opened by a name."""

    def _ends(self) -> tuple[int, int]:
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()

    def pull(self) -> bool:
        """Read one chunk; return False at the end. The other end may then have gone without reading our answer."""
        try:
            return super().pull()
        except ConnectionResetError:
            return False

    def answer(self, word: bytes) -> None:
        """Send `word` to the other end, if it is still open."""
        with contextlib.suppress(OSError):
            os.write(self.reader, word)


@dataclass(slots=True)
class ChildProcess:
    """A started process, until it is waited for."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    pidfd: int
    nested: bool
    group: ControlGroup | None  # of its program, once it was placed
    tally: ProcessTreeCpu
    killed: bool = False  # what is below it was told to die, and it ends when that is gone
    lost_root: bool = False  # a nested one was killed from outside, so nothing is known of the program
    placed: bool = False  # all of the program will be in the group
    waited_s: float = 0.0  # for a core, when its wall time had run out
    status: int | None = None
    usage: resource.struct_rusage | None = field(default=None, repr=False)

    def place(self) -> None:
        """Move the process that will become the program to its group, if the kernel tells which one it is."""
        program = self.pid
        if self.nested:
            below = [pid for first in children_of(self.pid) for pid in children_of(first)]
            program = below[0] if len(below) == 1 else 0
        if self.group is not None and program:
            with contextlib.suppress(OSError):
                self.group.add(program)
                self.placed = True

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def counted_s(self) -> float | None:
        """Return the CPU seconds that its group has counted; None without a count."""
        return self.group.cpu_s() if self.placed and self.group is not None else None

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes so far, as far as known."""
        counted_s = self.counted_s()
        return self.tally.look(self.pid) if counted_s is None else counted_s

    def has_ended(self) -> bool:
        """Return whether it has ended, waited for or not."""
        return self.status is not None or is_readable(self.pidfd)

    def kill(self) -> None:
        """Kill it and all processes below it."""
        # The first process of a pid namespace does not wait for the processes that the kernel kills with it: look now.
        self.cpu_s()
        inner = children_of(self.pid) if self.nested else []
        for pid in inner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed = bool(inner)
        if not inner:
            self._kill_root()

    def wait(self) -> None:
        """Wait for its end and read its status. If a killed process takes too long, kill the group."""
        if not is_readable(self.pidfd, _DEATHS_S if self.killed else _DEATH_S):
            self._kill_root()
        if not self.nested:
            self._kill_group()  # what is left of the group; the dead leader still holds its number
        _, self.status, self.usage = os.wait4(self.pid, 0)
        if self.placed and self.group is not None:
            self.group.kill()

    def finish(self) -> None:
        """Make sure that it is dead and waited for."""
        if self.status is None:
            self.kill()
            self.wait()
        self.process.returncode = os.waitstatus_to_exitcode(self.status or 0)  # else Popen would wait for it again
        os.close(self.pidfd)

    def _kill_root(self) -> None:
        self.lost_root = self.nested
        self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def start(
    isolation: Isolation,
    layout: SandboxLayout,
    group: ControlGroup | None,
    calls: Path | None,
    pipes: Sequence[BoundedPipe],
) -> ChildProcess:
    """Start a sandbox. Its `finish` must be called in every case.

    Args:
        isolation, layout: what to start.
        group: where its program will be placed, or None.
        calls: a file with the filter of system calls, which it reads from the beginning, or None.
        pipes: become its standard input (see `script`), stdout and stderr.

    Raises:
        OSError: it could not be started.
    """
    with contextlib.ExitStack() as stack:
        calls_fd = None if calls is None else os.open(calls, os.O_RDONLY | os.O_CLOEXEC)
        if calls_fd is not None:
            stack.callback(os.close, calls_fd)
        process = subprocess.Popen(
            isolation.argv(layout, calls_fd),
            stdin=pipes[0].writer,
            stdout=pipes[1].writer,
            stderr=pipes[2].writer,
            env=ENVIRONMENT,
            cwd="/" if isolation.nested else layout.stage / "files",
            pass_fds=() if calls_fd is None else (calls_fd,),
            start_new_session=True,  # no `preexec_fn`, `user` or `group`: these forbid vfork, are unsafe with threads
        )
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise
    for pipe in pipes:
        pipe.close_writer()
    return ChildProcess(process, pidfd, isolation.nested > 0, group, ProcessTreeCpu())
