"""Watch over one command from start to end: its outputs, its time, its death.

Decides when a command has had enough (CPU time, wall time, output) and sees to it that nothing of it is left
when `supervise` returns. It must not know what the command is, how it is isolated, or what its end means.

The command speaks about itself on file descriptor 0 (see `isolation.script`): a line "ready" when everything
before the program went well, and "done N" when the program ended with code N. A failure of the set-up can
so never be mistaken for the program's doing.
"""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from balancer.sandbox.local.pipes import BoundedPipe
from balancer.sandbox.local.proctree import children_of, cpu_of_tree, processes_reading

__all__ = ["Command", "Cut", "Ended", "supervise"]

_STATUS_BYTES = 4096
_DEATH_S = 2.0  # how long a killed process gets to die before the whole group is killed
_SHELL_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)
_LOOK_S = 0.02  # the shortest pause between two looks at the CPU time; by so much a limit may be overrun
_CORES = os.cpu_count() or 1


class Cut(Enum):
    """Why a command was stopped from outside."""

    CPU = "CPU time"
    WALL = "wall time"
    OUTPUT = "output"
    STOP = "stopped"


@dataclass(frozen=True, slots=True)
class Command:
    """What to start and what it may use.

    Args:
        argv: program and arguments; no shell is involved.
        env: the whole environment.
        cwd: working directory.
        cpu_s: CPU seconds of all its processes together until it is killed.
        wall_s: seconds until it is killed.
        output_bytes: bytes kept from stdout, and from stderr; one more and it is killed.
        nested: True if the program runs in its own pid namespace, below the started process. The
            namespace's first process is then the one to kill: with it dies everything inside.
        owner: user id that may reopen the output pipes (/dev/stdout), or None for our own.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    cpu_s: float
    wall_s: float
    output_bytes: int
    nested: bool
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        ready: whether the program was started at all.
        exit_code: its exit code, negative for a signal; None if it was cut.
        cut: why it was stopped, or None if it ended by itself.
        lost: its sandbox was killed by somebody else; nothing is known about the program.
        stdout, stderr: what it printed, at most `output_bytes` each.
        cpu_s: CPU seconds of the command and all it waited for; None if they could not be told.
        peak_bytes: peak memory of its largest process, where that can be told.
    """

    ready: bool
    exit_code: int | None
    cut: Cut | None
    lost: bool
    stdout: bytes
    stderr: bytes
    cpu_s: float | None
    peak_bytes: int | None


def supervise(command: Command, *, stop: int | None = None) -> Ended:
    """Run `command` and return how it ended, when nothing of it is left.

    Args:
        command: what to run.
        stop: file descriptor; when it becomes readable the command is killed (`Cut.STOP`).

    Raises:
        OSError: it could not be started.
    """
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        pipes = []
        for limit in (_STATUS_BYTES, command.output_bytes, command.output_bytes):
            pipes.append(BoundedPipe(limit, command.owner))
            stack.callback(pipes[-1].close)
        with _started(command, pipes) as child:
            cut = _watch(child, pipes, command, started_s, stop)
            if cut is not None:
                child.kill()
            child.wait()
            for pipe in pipes:
                pipe.drain()
        if cut is None and any(pipe.over for pipe in pipes):
            cut = Cut.OUTPUT
        status, out, err = (bytes(pipe.data) for pipe in pipes)
        return _ended(child, cut, status.split(), out, err)


@dataclass(slots=True)
class _Child:
    """The started process, until it is waited for."""

    pid: int
    pidfd: int
    nested: bool
    status_inode: int  # of the pipe that is its standard input, see `isolation.script`
    beheaded: bool = False  # a nested one was killed from above, with all that it knew of the program
    seen_s: float = 0.0  # CPU time of all its processes when they were killed
    status: int | None = None
    usage: resource.struct_rusage | None = field(default=None, repr=False)

    def kill(self) -> None:
        """Kill it, and all that runs below it."""
        # The first process of a pid namespace does not wait for what the kernel kills with it: look now.
        self.seen_s = cpu_of_tree(self.pid)
        inner = children_of(self.pid) if self.nested else []
        for pid in inner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not inner:
            self._behead()

    def wait(self) -> None:
        """Wait for its end and take its status; kill the group if a killed one takes too long."""
        if not _readable(self.pidfd, _DEATH_S):
            self._behead()
        if not self.nested:
            self._kill_group()  # leftovers in the same group; the dead leader still holds its number
        _, self.status, self.usage = os.wait4(self.pid, 0)
        if self.nested and os.WIFSIGNALED(self.status):
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Kill what a nested one leaves if it is killed before its namespace's first process has asked to die with it.

        That process may be in a session of its own already, so the group does not find it; its standard input does.
        """
        for pid in processes_reading(self.status_inode):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _behead(self) -> None:
        self.beheaded = self.nested
        self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


@contextmanager
def _started(command: Command, pipes: list[BoundedPipe]) -> Iterator[_Child]:
    """Start `command`; whatever happens in the block, it is dead and waited for afterwards."""
    status, out, err = (pipe.writer for pipe in pipes)
    process = subprocess.Popen(
        command.argv,
        stdin=status,
        stdout=out,
        stderr=err,
        env=command.env,
        cwd=command.cwd,
        start_new_session=True,  # no `preexec_fn`, `user` or `group`: these forbid vfork and are unsafe with threads
    )
    try:
        child = _Child(process.pid, os.pidfd_open(process.pid), command.nested, os.fstat(status).st_ino)
    except OSError:
        process.kill()
        process.wait()
        raise
    try:
        for pipe in pipes:
            pipe.close_writer()
        yield child
    finally:
        if child.status is None:
            child.kill()
            child.wait()
        process.returncode = os.waitstatus_to_exitcode(child.status or 0)  # else Popen would wait for it again
        os.close(child.pidfd)


def _readable(fd: int, timeout_s: float) -> bool:
    with selectors.PollSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))


def _watch(child: _Child, pipes: list[BoundedPipe], command: Command, started_s: float, stop: int | None) -> Cut | None:
    """Read the pipes until the child ends by itself (None) or has to be stopped."""
    with selectors.PollSelector() as selector:
        selector.register(child.pidfd, selectors.EVENT_READ, None)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ, Cut.STOP)
        for pipe in pipes:
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)
        deadline_s = started_s + command.wall_s
        look_s = started_s + _pause(command.cpu_s)
        while (now_s := time.monotonic()) < deadline_s:
            if now_s >= look_s:
                left_s = command.cpu_s - cpu_of_tree(child.pid)
                if left_s <= 0:
                    return Cut.CPU
                look_s = now_s + _pause(left_s)
            for key, _ in selector.select(min(look_s, deadline_s) - now_s):
                if not isinstance(key.data, BoundedPipe):
                    reason: Cut | None = key.data
                    return reason
                if _take(selector, key.data):
                    return Cut.OUTPUT
    return Cut.WALL


def _pause(left_s: float) -> float:
    """Return how long `left_s` seconds of CPU time last at least: if all cores work on it."""
    return max(_LOOK_S, left_s / _CORES)


def _take(selector: selectors.BaseSelector, pipe: BoundedPipe) -> bool:
    """Read once from `pipe`, which is ready; return whether it holds too much now."""
    with contextlib.suppress(BlockingIOError):
        if not pipe.pull():
            selector.unregister(pipe.reader)
    return pipe.over


def _ended(child: _Child, cut: Cut | None, words: list[bytes], out: bytes, err: bytes) -> Ended:
    code = os.waitstatus_to_exitcode(child.status or 0)
    done = words[-2:-1] == [b"done"]
    if done:
        code = int(words[-1])
    return Ended(
        ready=words[:1] == [b"ready"],
        exit_code=None if cut else 128 - code if code in _SHELL_SIGNALS else code,
        cut=cut,
        # What runs inside a pid namespace can kill neither the process outside it nor its own first process.
        lost=cut is None and child.nested and not done and code == -signal.SIGKILL,
        stdout=out,
        stderr=err,
        cpu_s=_cpu_s(child),
        peak_bytes=_peak_bytes(child),
    )


def _cpu_s(child: _Child) -> float | None:
    if child.usage is None or child.beheaded:
        return None
    return max(child.seen_s, child.usage.ru_utime + child.usage.ru_stime)


def _peak_bytes(child: _Child) -> int | None:
    """Return the largest resident size below the child, if it is more than our own.

    A process that was started by vfork begins its life, for the kernel's books, with the peak of its parent,
    so anything up to our own peak may be ours and says nothing.
    """
    own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_kib = child.usage.ru_maxrss if child.usage else 0
    return peak_kib * 1024 if peak_kib > own_kib else None
