"""The life of one sandbox process: it waits, is told to go on, runs one program, and nothing of it is left.

Decides the order of these, and when a program has had enough: CPU time, wall time, output, or that somebody wants it
stopped. How a process is started and killed is `child`'s business, and what is known of its end `result`'s. It must not
know what is run, how it is isolated, or what its end means.
"""

import contextlib
import math
import os
import selectors
import time

from balancer.sandbox.local.cgroups import ControlGroup
from balancer.sandbox.local.child import ChildProcess, start
from balancer.sandbox.local.command import ProcessLimits, ProcessResult, SandboxCommand, StopReason
from balancer.sandbox.local.pipes import BoundedPipe, BoundedSocket
from balancer.sandbox.local.proctree import waited_for_cpu_s
from balancer.sandbox.local.result import process_result_of, status_bytes

__all__ = ["Sandbox"]

_WAITING, _READY = b"waiting\n", b"ready\n"
_START = ProcessLimits(cpu_s=math.inf, wall_s=60.0, output_bytes=0)  # nothing of a program runs yet
_LOOK_S = 0.02  # the shortest pause between two looks at the CPU time; by so much a limit may be overrun
_CORES = os.cpu_count() or 1


class Sandbox:
    """A started command that waits; used for one program, by one thread at a time.

    Args:
        command: what to start.
        group: the control group for it, or None.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, command: SandboxCommand, group: ControlGroup | None) -> None:
        self._group = group
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
        """Wait until it waits, and put it in its group; return False if it never will: `run` then tells why.

        Args:
            stop: file descriptor; when it becomes readable the sandbox is given up (`StopReason.STOP`).
        """
        self._stopped_by = _watch(self._child, self._line, self._out, _START, stop, until=_WAITING)
        self._waits = self._stopped_by is None and self._line.data.startswith(_WAITING)
        if self._waits:
            self._child.place()
            self._line.data.clear()
        return self._waits

    @property
    def is_alive(self) -> bool:
        """Whether it still waits, as far as can be seen."""
        return self._waits and not self._child.has_ended()

    def run(self, allowed: ProcessLimits, stop: int | None = None) -> ProcessResult:
        """Tell it to go on, and return how it ended, when nothing of it is left.

        Args:
            allowed: what the program may use.
            stop: file descriptor; when it becomes readable the program is killed (`StopReason.STOP`).
        """
        stopped_by = self._stopped_by
        self._line.limit = status_bytes(allowed.output_bytes, allowed.fetches)
        for pipe in self._out:
            pipe.limit = allowed.output_bytes
        if self._waits:
            stopped_by = self._go(allowed, stop)
        if stopped_by is not None:
            self._child.kill()
        self._child.wait()
        for pipe in (self._line, *self._out):
            pipe.drain()
        if stopped_by is None and any(pipe.over for pipe in (self._line, *self._out)):
            stopped_by = StopReason.OUTPUT
        status, out, err = (bytes(pipe.data) for pipe in (self._line, *self._out))
        return process_result_of(self._child, stopped_by, status.split(), out, err, allowed.fetches)

    def _go(self, allowed: ProcessLimits, stop: int | None) -> StopReason | None:
        self._child.begin()
        self._line.answer(b"go\n")
        stopped_by = _watch(self._child, self._line, self._out, allowed, stop, until=_READY)
        if stopped_by is None and self._line.data.startswith(_READY):
            self._line.answer(b"\n" if self._child.limit(allowed.rlimits) else b"unlimited\n")
            stopped_by = _watch(self._child, self._line, self._out, allowed, stop)
        if stopped_by is StopReason.WALL:
            self._child.waited_s = waited_for_cpu_s(self._child.pid)
        return stopped_by

    def close(self) -> None:
        """Kill what is left of it. May be called twice."""
        self._stack.close()


def _watch(
    child: ChildProcess,
    line: BoundedSocket,
    out: list[BoundedPipe],
    allowed: ProcessLimits,
    stop: int | None,
    *,
    until: bytes = b"",
) -> StopReason | None:
    """Read the pipes until the child ends by itself, or says `until` on its line (None), or has to be stopped."""
    began_s = time.monotonic()
    with selectors.PollSelector() as selector:
        selector.register(child.pidfd, selectors.EVENT_READ, None)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ, StopReason.STOP)
        for pipe in (line, *out):
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)
        deadline_s = began_s + allowed.wall_s
        look_s = began_s + _pause(allowed.cpu_s)
        while (now_s := time.monotonic()) < deadline_s:
            if now_s >= look_s:
                left_s = allowed.cpu_s - child.cpu_s()
                if left_s <= 0:
                    return StopReason.CPU
                look_s = now_s + _pause(left_s)
            for key, _ in selector.select(min(look_s, deadline_s) - now_s):
                if not isinstance(key.data, BoundedPipe):
                    reason: StopReason | None = key.data
                    return reason
                if _take(selector, key.data):
                    return StopReason.OUTPUT
            if until and line.data.startswith(until):
                return None
    return StopReason.WALL


def _pause(left_s: float) -> float:
    """Return how long `left_s` seconds of CPU time last at least: if all cores work on it."""
    return max(_LOOK_S, left_s / _CORES)


def _take(selector: selectors.BaseSelector, pipe: BoundedPipe) -> bool:
    """Read once from `pipe`, which is ready; return whether it holds too much now."""
    with contextlib.suppress(BlockingIOError):
        if not pipe.pull():
            selector.unregister(pipe.reader)
    return pipe.over
