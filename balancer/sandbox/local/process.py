"""Life of one sandbox process: it waits, goes on, runs one program, and is removed completely.

It watches the limits of a program (CPU time, wall time, output) and requests to stop it. `child` starts and kills the
process.

The result comes from the reports of the shell and of the kernel. This module decides which of the two counts for what,
and when nothing is known.

A sandbox runs one program once, and ends with it: what a program leaves behind has nowhere to be found.

The shell writes to file descriptor 0 (see `isolation.script`): a line "ready" when the set-up went well, and "done N"
when the program ended with code N. So a failed set-up cannot be taken for the
program's doing. The program cannot reach this line. Still, the text on it is treated as if the program had written it:
any words that the shell would not write are the program's doing.
"""

import contextlib
import math
import os
import resource
import selectors
import signal
import time

from balancer.program import Limits
from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.child import (
    BoundedPipe,
    BoundedSocket,
    ChildProcess,
    is_at_work,
    start,
    waited_for_cpu_s,
)
from balancer.sandbox.local.command import ProcessResult, SandboxCommand, StopReason

__all__ = ["Sandbox", "process_result_of"]

_WAITING = b"waiting\n"
_START = Limits(cpu_s=math.inf, wall_s=60.0, output_bytes=0)  # nothing of a program runs yet
_LOOK_S = 0.02  # the shortest pause between two looks at the CPU time: a limit may be exceeded by this much
_CORES = os.cpu_count() or 1
_NAPS = 2  # looks in a row in which a command sleeps; a machine that was paused spoils one
_HARDLY = 0.01  # share of a core that runtimes use while they wait
_STATUS_BYTES = 4096
_SHELL_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)


class Sandbox:
    """A started command that waits. Used for one program, once, by one thread at a time.

    Args:
        command: to start.
        group: the control group of its program, or None.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, command: SandboxCommand, group: ControlGroup | None) -> None:
        self._stopped_by: StopReason | None = None
        self._waits = False
        with contextlib.ExitStack() as stack:
            self._line = BoundedSocket()
            stack.callback(self._line.close)
            self._out = []
            for _ in range(2):
                self._out.append(BoundedPipe(command.owner))
                stack.callback(self._out[-1].close)
            self._child: ChildProcess = start(command, self._line, self._out, group)
            stack.callback(self._child.finish)
            self._stack = stack.pop_all()

    def settle(self, stop: int | None = None) -> bool:
        """Wait until it is set up, and move its program to the group. Return False if that failed: `run` says why.

        Args:
            stop: a file descriptor; when it becomes readable, the sandbox is given up (`StopReason.STOP`).
        """
        self._stopped_by = _watch(self._child, self._line, self._out, _START, stop, until=_WAITING)
        self._waits = self._stopped_by is None and self._line.data.startswith(_WAITING)
        if self._waits:
            self._child.place()
            self._line.data.clear()
        return self._waits

    @property
    def has_ended(self) -> bool:
        """Whether it is over, as far as can be seen."""
        return self._child.has_ended()

    @property
    def waits(self) -> bool:
        """Whether it waits for a program, as far as can be seen."""
        return self._waits and not self.has_ended

    def run(self, allowed: Limits, stop: int | None = None, *, asleep_s: float = math.inf) -> ProcessResult:
        """Start the program, and return how it ended, after all its processes are gone.

        Args:
            allowed: limits of the program.
            stop: a file descriptor; when it becomes readable, the program is killed (`StopReason.STOP`).
            asleep_s: seconds of sleep after which its wall time counts as over.
        """
        stopped_by = self._stopped_by
        self._line.limit = _STATUS_BYTES
        for pipe in self._out:
            pipe.limit = allowed.output_bytes
        if self._waits:
            self._waits = False
            self._line.answer(b"go\n")
            stopped_by = _watch(self._child, self._line, self._out, allowed, stop, asleep_s=asleep_s)
        if stopped_by is StopReason.WALL:
            self._child.waited_s = waited_for_cpu_s(self._child.pid)
            self._child.asleep = not is_at_work(self._child.pid)
        if stopped_by is not None:
            self._child.kill()
        self._child.wait()
        for pipe in (self._line, *self._out):
            pipe.drain()
        if stopped_by is None and any(pipe.over for pipe in (self._line, *self._out)):
            stopped_by = StopReason.OUTPUT
        status, out, err = (bytes(pipe.data) for pipe in (self._line, *self._out))
        return process_result_of(self._child, stopped_by, status.split(), out, err)

    def close(self) -> None:
        """Kill what is left of it. May be called twice."""
        self._stack.close()


def _watch(
    child: ChildProcess,
    line: BoundedSocket,
    out: list[BoundedPipe],
    allowed: Limits,
    stop: int | None,
    *,
    until: bytes = b"",
    asleep_s: float = math.inf,
) -> StopReason | None:
    """Read the pipes until the child ends by itself or says `until` (None), or must be stopped (the reason)."""
    began_s = time.monotonic()
    with selectors.PollSelector() as selector:
        selector.register(child.pidfd, selectors.EVENT_READ, None)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ, StopReason.STOP)
        for pipe in (line, *out):
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)
        deadline_s = began_s + allowed.wall_s
        look_s = began_s + _pause(allowed.cpu_s)
        used_s, naps, nap_s = 0.0, 0, began_s + asleep_s / _NAPS
        while (now_s := time.monotonic()) < deadline_s:
            if now_s >= look_s:
                left_s = allowed.cpu_s - child.cpu_s()
                if left_s <= 0:
                    return StopReason.CPU
                look_s = now_s + _pause(left_s)
            if now_s >= nap_s:
                before_s, used_s = used_s, child.cpu_s()
                sleeps = used_s - before_s < _HARDLY * asleep_s and not is_at_work(child.pid)
                naps, nap_s = naps + 1 if sleeps else 0, now_s + asleep_s / _NAPS
                if naps > _NAPS:  # the first one may come just after it fell asleep
                    break
            for key, _ in selector.select(max(0.0, min(look_s, nap_s, deadline_s) - now_s)):
                if not isinstance(key.data, BoundedPipe):
                    reason: StopReason | None = key.data
                    return reason
                if _take(selector, key.data):
                    return StopReason.OUTPUT
            if until and line.data.startswith(until):
                return None
    return StopReason.WALL


def _pause(left_s: float) -> float:
    """Return the least time in which `left_s` seconds of CPU time can be used, with all cores."""
    return max(_LOOK_S, left_s / _CORES)


def _take(selector: selectors.BaseSelector, pipe: BoundedPipe) -> bool:
    """Read once from `pipe`, which is ready; return whether it now holds too much."""
    with contextlib.suppress(BlockingIOError):
        if not pipe.pull():
            selector.unregister(pipe.reader)
    return pipe.over


def process_result_of(
    child: ChildProcess, stopped_by: StopReason | None, words: list[bytes], out: bytes, err: bytes
) -> ProcessResult:
    """Return how the command ended.

    Args:
        child: the process, after it was waited for.
        stopped_by: why it was stopped, or None.
        words: of the shell.
        out, err: output of the command.
    """
    code = os.waitstatus_to_exitcode(child.status or 0)
    ready = words[:1] == [b"ready"]
    done = child.nested and _is_report(words)
    if done:
        code = int(words[-1])
    starved = child.group is not None and child.placed and child.group.starved()
    # What runs inside a pid namespace can kill neither the process outside it nor its own first process.
    lost = stopped_by is None and child.nested and not done and code == -signal.SIGKILL and not starved
    tampered = stopped_by is None and child.nested and ready and not done and not lost and not starved
    return ProcessResult(
        ready=ready,
        exit_code=None if stopped_by else code or 1 if tampered else 128 - code if code in _SHELL_SIGNALS else code,
        stopped_by=stopped_by,
        lost=lost,
        waited_s=child.waited_s,
        asleep=child.asleep,
        starved=starved,
        tampered=tampered,
        stdout=out,
        stderr=err,
        cpu_s=_cpu_s(child),
        peak_bytes=_peak_bytes(child),
    )


def _is_report(words: list[bytes]) -> bool:
    """Return whether `words` are exactly a shell's report of the end of a run, with a possible code."""
    if len(words) != 3 or words[:2] != [b"ready", b"done"]:
        return False
    code = words[-1]
    return len(code) <= 3 and code.isdigit() and int(code) <= 255


def _cpu_s(child: ChildProcess) -> float | None:
    if (counted_s := child.counted_s()) is not None:
        return counted_s
    if child.usage is None or child.lost_root:
        return None
    return max(child.tally.seen_s, child.usage.ru_utime + child.usage.ru_stime)


def _peak_bytes(child: ChildProcess) -> int | None:
    """Return the peak memory of all processes if a group counts it; else the largest resident size, if above our own.

    After vfork, a process starts with the peak of its parent in the kernel's accounts. So a value up to our own peak
    says nothing.
    """
    if child.placed and child.group is not None and (counted_bytes := child.group.peak_bytes()) is not None:
        return counted_bytes
    own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_kib = child.usage.ru_maxrss if child.usage else 0
    return peak_kib * 1024 if peak_kib > own_kib else None
