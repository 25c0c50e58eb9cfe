"""Life of one sandbox process: it waits, goes on, runs one program, and is removed completely.

It watches the limits of a program (CPU time, wall time, output) and requests to stop it. `child` starts and kills the
process.

The result comes from the reports of the shell and of the kernel. This module decides which of the two counts for what,
and when nothing is known.

A sandbox runs one program once, and ends with it: what a program leaves behind has nowhere to be found.

The shell writes to file descriptor 0 (see `script`): a line "ready" when the set-up went well, and "done N"
when the program ended with code N. So a failed set-up cannot be taken for the
program's doing. The program cannot reach this line. Still, the text on it is treated as if the program had written it:
any words that the shell would not write are the program's doing.
"""

import contextlib
import math
import os
import selectors
import signal
import time
from pathlib import Path

from balancer.program import Limits
from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.child import (
    BoundedPipe,
    BoundedSocket,
    ChildProcess,
    start,
    waited_for_cpu_s,
)
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.isolation import Isolation, SandboxLayout

__all__ = ["Sandbox", "process_result_of"]

_WAITING = b"waiting\n"
_START = Limits(cpu_s=math.inf, wall_s=60.0, output_bytes=0)  # nothing of a program runs yet
_LOOK_S = 0.02  # the shortest pause between two looks at the CPU time: a limit may be exceeded by this much
_CORES = os.cpu_count() or 1
_STATUS_BYTES = 4096
_SHELL_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)


class Sandbox:
    """A started sandbox that waits. Used for one program, once, by one thread at a time.

    Args:
        isolation, layout: what to start.
        group: the control group of its program, or None.
        calls: a file with the filter of system calls, or None.

    Raises:
        OSError: it could not be started.
    """

    def __init__(
        self, isolation: Isolation, layout: SandboxLayout, group: ControlGroup | None, calls: Path | None
    ) -> None:
        self._stopped_by: StopReason | None = None
        self._waits = False
        with contextlib.ExitStack() as stack:
            self._line = BoundedSocket()
            stack.callback(self._line.close)
            self._pipes: list[BoundedPipe] = [self._line]
            for _ in range(2):
                # A compiler that opens /dev/stdout would wait for ever; a socket cannot be opened.
                self._pipes.append(BoundedPipe(layout.uid) if layout.spec.output is None else BoundedSocket())
                stack.callback(self._pipes[-1].close)
            self._child: ChildProcess = start(isolation, layout, group, calls, self._pipes)
            stack.callback(self._child.finish)
            self._stack = stack.pop_all()

    def settle(self, stop: int | None = None) -> bool:
        """Wait until it is set up, and move its program to the group. Return False if that failed: `run` says why.

        Args:
            stop: a file descriptor; when it becomes readable, the sandbox is given up (`StopReason.STOP`).
        """
        self._stopped_by = self._watch(_START, stop, until=_WAITING)
        self._waits = self._stopped_by is None and self._line.data.startswith(_WAITING)
        if self._waits:
            self._child.place()
            self._line.data.clear()
        return self._waits

    @property
    def waits(self) -> bool:
        """Whether it waits for a program, as far as can be seen."""
        return self._waits and not self._child.has_ended()

    def run(self, allowed: Limits, stop: int | None = None) -> ProcessResult:
        """Start the program, and return how it ended, after all its processes are gone.

        Args:
            allowed: limits of the program.
            stop: a file descriptor; when it becomes readable, the program is killed (`StopReason.STOP`).
        """
        stopped_by = self._stopped_by
        for pipe in self._pipes:
            pipe.limit = _STATUS_BYTES if pipe is self._line else allowed.output_bytes
        if self._waits:
            self._waits = False
            self._line.answer(b"go\n")
            stopped_by = self._watch(allowed, stop)
        if stopped_by is StopReason.WALL:
            self._child.waited_s = waited_for_cpu_s(self._child.pid)
        if stopped_by is not None:
            self._child.kill()
        self._child.wait()
        for pipe in self._pipes:
            pipe.drain()
        if stopped_by is None and any(pipe.over for pipe in self._pipes):
            stopped_by = StopReason.OUTPUT
        status, out, err = (bytes(pipe.data) for pipe in self._pipes)
        return process_result_of(self._child, stopped_by, status.split(), out, err)

    def close(self) -> None:
        """Kill what is left of it. May be called twice."""
        self._stack.close()

    def _watch(self, allowed: Limits, stop: int | None, *, until: bytes = b"") -> StopReason | None:
        """Read the pipes until the child ends by itself or says `until` (None), or must be stopped (the reason)."""
        began_s = time.monotonic()
        with selectors.PollSelector() as selector:
            selector.register(self._child.pidfd, selectors.EVENT_READ, None)
            if stop is not None:
                selector.register(stop, selectors.EVENT_READ, StopReason.STOP)
            for pipe in self._pipes:
                selector.register(pipe.reader, selectors.EVENT_READ, pipe)
            deadline_s = began_s + allowed.wall_s
            look_s = began_s + _pause(allowed.cpu_s)
            while (now_s := time.monotonic()) < deadline_s:
                if now_s >= look_s:
                    left_s = allowed.cpu_s - self._child.cpu_s()
                    if left_s <= 0:
                        return StopReason.CPU
                    look_s = now_s + _pause(left_s)
                for key, _ in selector.select(max(0.0, min(look_s, deadline_s) - now_s)):
                    if not isinstance(key.data, BoundedPipe):
                        reason: StopReason | None = key.data
                        return reason
                    if _take(selector, key.data):
                        return StopReason.OUTPUT
                if until and self._line.data.startswith(until):
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
        starved=starved,
        tampered=tampered,
        stdout=out,
        stderr=err,
        cpu_s=_cpu_s(child),
        # Without a group: after vfork, a process starts with the peak of its parent in the kernel's accounts.
        peak_bytes=child.group.peak_bytes() if child.placed and child.group is not None else None,
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
