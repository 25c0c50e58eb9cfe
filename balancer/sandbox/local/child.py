"""A child process: start it, count its CPU time, kill all that belongs to it.

Decides how a process is started and which processes have to be killed for it to be dead. It must not know for how long
a command may run, nor what is told of its end.
"""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.command import SandboxCommand
from balancer.sandbox.local.limits import set_rlimits
from balancer.sandbox.local.pipes import BoundedPipe, BoundedSocket
from balancer.sandbox.local.proctree import ProcessTreeCpu, children_of, processes_reading

__all__ = ["ChildProcess", "start"]

_INNER = 2  # processes of a nested one that waits, see `isolation.script`
_DEATH_S = 2.0  # how long a killed process gets to die before the whole group is killed


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
