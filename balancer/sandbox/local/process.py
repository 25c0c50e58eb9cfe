"""The life of one sandbox process: it waits, is told to go on, runs one program, and nothing of it is left.

Decides the order of these. How it is started and killed is `start`'s business, when it has had enough `watch`'s, and
what is known of its end `told`'s. It must not know what is run, how it is isolated, or what its end means.
"""

import contextlib
import math

from balancer.sandbox.local.child import ChildProcess, start
from balancer.sandbox.local.command import ProcessLimits, ProcessResult, SandboxCommand, StopReason
from balancer.sandbox.local.group import ControlGroup
from balancer.sandbox.local.pipes import BoundedPipe, BoundedSocket
from balancer.sandbox.local.proctree import waited_for_cpu_s
from balancer.sandbox.local.result import process_result_of, status_bytes
from balancer.sandbox.local.watch import watch

__all__ = ["Sandbox"]

_WAITING, _READY = b"waiting\n", b"ready\n"
_START = ProcessLimits(cpu_s=math.inf, wall_s=60.0, output_bytes=0)  # nothing of a program runs yet


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
        self._cut: StopReason | None = None
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
        self._cut = watch(self._child, self._line, self._out, _START, stop, until=_WAITING)
        self._waits = self._cut is None and self._line.data.startswith(_WAITING)
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
        cut = self._cut
        self._line.limit = status_bytes(allowed.output_bytes, allowed.fetches)
        for pipe in self._out:
            pipe.limit = allowed.output_bytes
        if self._waits:
            cut = self._go(allowed, stop)
        if cut is not None:
            self._child.kill()
        self._child.wait()
        for pipe in (self._line, *self._out):
            pipe.drain()
        if cut is None and any(pipe.over for pipe in (self._line, *self._out)):
            cut = StopReason.OUTPUT
        status, out, err = (bytes(pipe.data) for pipe in (self._line, *self._out))
        return process_result_of(self._child, cut, status.split(), out, err, allowed.fetches)

    def _go(self, allowed: ProcessLimits, stop: int | None) -> StopReason | None:
        self._child.begin()
        self._line.answer(b"go\n")
        cut = watch(self._child, self._line, self._out, allowed, stop, until=_READY)
        if cut is None and self._line.data.startswith(_READY):
            self._line.answer(b"\n" if self._child.limit(allowed.rlimits) else b"unlimited\n")
            cut = watch(self._child, self._line, self._out, allowed, stop)
        if cut is StopReason.WALL:
            self._child.waited_s = waited_for_cpu_s(self._child.pid)
        return cut

    def close(self) -> None:
        """Kill what is left of it. May be called twice."""
        self._stack.close()
