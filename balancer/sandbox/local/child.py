"""A child process: start it, count its CPU time, kill all that belongs to it.

Decides how a process is started and which processes have to be killed for it to be dead.

The process tree, as /proc tells it: who is below a process, and the CPU time they have used so far. Read-only, and
never exact: processes come and go meanwhile.

A pipe whose reading end is ours, with a memory of bounded size.
"""

import contextlib
import os
import resource
import selectors
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.command import SandboxCommand, set_rlimits

__all__ = [
    "BoundedPipe",
    "BoundedSocket",
    "ChildProcess",
    "ProcessTreeCpu",
    "children_of",
    "processes_reading",
    "start",
    "waited_for_cpu_s",
]

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_CHUNK = 2**16  # what a pipe holds by default
_INNER = 2  # processes of a nested one that waits, see `isolation.script`
_DEATH_S = 2.0  # how long a killed process gets to die before the whole group is killed


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


class BoundedPipe:
    """A pipe that keeps the first `limit` bytes written to it; at first these are few.

    Args:
        owner: user id that may reopen the writing end (as /dev/stdout), or None for our own.

    Attributes:
        limit: bytes to keep.
        data: what has come so far.
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
        """Take one chunk; return False at the end of the file.

        Raises:
            BlockingIOError: nothing is there now.
        """
        chunk = os.read(self.reader, _CHUNK)
        room = self.limit - len(self.data)
        self.data += chunk[:room]
        self.over = self.over or len(chunk) > room
        return bool(chunk)

    def drain(self) -> None:
        """Take all that is there, up to the limit."""
        with contextlib.suppress(BlockingIOError):
            while not self.over and self.pull():
                pass

    def close_writer(self) -> None:
        """Close our copy of the writing end, so that the reader sees the end of the file."""
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
    """The same with a way back: both ends may be read and written. Nobody can open it by a name."""

    def _ends(self) -> tuple[int, int]:
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()

    def pull(self) -> bool:
        """Take one chunk; return False at the end: the other end is gone, perhaps without having heard our answer."""
        try:
            return super().pull()
        except ConnectionResetError:
            return False

    def answer(self, word: bytes) -> None:
        """Say `word` to the other end, if anybody is there still."""
        with contextlib.suppress(OSError):
            os.write(self.reader, word)


@dataclass(slots=True)
class ChildProcess:
    """The started process, until it is waited for."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    pidfd: int
    nested: bool
    status_inode: int  # of the line that is its standard input, see `isolation.script`
    group: ControlGroup | None  # where all of it is, once it was placed
    tally: ProcessTreeCpu
    lost_root: bool = False  # a nested one was killed from above, with all that it knew of the program
    inner: list[int] | None = None  # what ran below it when it was placed, the last one of which becomes the program
    placed: bool = False  # all of the program will be in the group
    waited_s: float = 0.0  # for a core, when its wall time had run out
    before_s: float = 0.0  # CPU seconds that its group had counted when its program was told to begin
    status: int | None = None
    usage: resource.struct_rusage | None = field(default=None, repr=False)

    def place(self) -> None:
        """Put it into its group, while it waits to be told to go on: nothing is started in the meantime."""
        self.inner = self._all_inner()
        if self.group is None or self.inner is None:
            return
        with contextlib.suppress(OSError):
            self.group.add([self.pid, *self.inner])
            self.placed = True

    def _all_inner(self) -> list[int] | None:
        """Return what runs below it: the first process of its namespace and the one that will become the program.

        None if the kernel does not tell.
        """
        if not self.nested:
            return []
        first = children_of(self.pid)
        inner = [*first, *(below for pid in first for below in children_of(pid))]
        return inner if len(inner) == _INNER else None

    def limit(self, rlimits: Mapping[str, tuple[int, int]]) -> bool:
        """Set the limits of the process that will become the program, while it waits; return False if that fails."""
        if self.inner is None:
            return False
        return set_rlimits(self.inner[-1] if self.nested else self.pid, rlimits)

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def begin(self) -> None:
        """Count from now on: its program begins."""
        self.before_s = 0.0
        self.before_s = self.counted_s() or 0.0

    def counted_s(self) -> float | None:
        """Return the CPU seconds that its group has counted since it began; None where nobody counts."""
        counted_s = self.group.cpu_s() if self.placed and self.group is not None else None
        return None if counted_s is None else counted_s - self.before_s

    def cpu_s(self) -> float:
        """Return the CPU seconds that all of it has used so far, as far as can be told."""
        counted_s = self.counted_s()
        return self.tally.look(self.pid) if counted_s is None else counted_s

    def has_ended(self) -> bool:
        """Tell whether it has ended, waited for or not."""
        return self.status is not None or _readable(self.pidfd, 0.0)

    def kill(self) -> None:
        """Kill it, and all that runs below it."""
        # The first process of a pid namespace does not wait for what the kernel kills with it: look now.
        self.cpu_s()
        inner = children_of(self.pid) if self.nested else []
        for pid in inner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not inner:
            self._kill_root()

    def wait(self) -> None:
        """Wait for its end and take its status; kill the group if a killed one takes too long."""
        if not _readable(self.pidfd, _DEATH_S):
            self._kill_root()
        if not self.nested:
            self._kill_group()  # leftovers in the same group; the dead leader still holds its number
        _, self.status, self.usage = os.wait4(self.pid, 0)
        if self.placed and self.group is not None:
            self.group.kill()
        if self.nested and os.WIFSIGNALED(self.status):
            self._kill_orphans()

    def finish(self) -> None:
        """See to it that it is dead and waited for, and forget it."""
        if self.status is None:
            self.kill()
            self.wait()
        self.process.returncode = os.waitstatus_to_exitcode(self.status or 0)  # else Popen would wait for it again
        os.close(self.pidfd)

    def _kill_orphans(self) -> None:
        """Kill what a nested one leaves if it is killed before its namespace's first process has asked to die with it.

        That process may be in a session of its own already, so the group does not find it; its standard input does.
        """
        for pid in processes_reading(self.status_inode):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _kill_root(self) -> None:
        self.lost_root = self.nested
        self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def start(
    command: SandboxCommand, line: BoundedSocket, out: Sequence[BoundedPipe], group: ControlGroup | None
) -> ChildProcess:
    """Start `command`; its `finish` must be called, whatever happens.

    Args:
        command: what to start.
        line: becomes its standard input; see `isolation.script`.
        out: become its stdout and stderr.
        group: where it will be placed, or None.

    Raises:
        OSError: it could not be started.
    """
    stdout, stderr = (pipe.writer for pipe in out)
    process = subprocess.Popen(
        command.argv,
        stdin=line.writer,
        stdout=stdout,
        stderr=stderr,
        env=command.env,
        cwd=command.cwd,
        pass_fds=command.reads,
        start_new_session=True,  # no `preexec_fn`, `user` or `group`: these forbid vfork and are unsafe with threads
    )
    try:
        pidfd, inode = os.pidfd_open(process.pid), os.fstat(line.writer).st_ino
    except OSError:
        process.kill()
        process.wait()
        raise
    for pipe in (line, *out):
        pipe.close_writer()
    return ChildProcess(process, pidfd, command.nested, inode, group, ProcessTreeCpu())


def _readable(fd: int, timeout_s: float) -> bool:
    with selectors.PollSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))
