"""Watch a sandbox while a program runs in it, and say when a limit is reached.

Decides when it has had enough: CPU time, wall time, output, or that somebody wants it stopped. It must not know how a
command is started or killed.
"""

import contextlib
import os
import selectors
import time

from balancer.sandbox.local.child import ChildProcess
from balancer.sandbox.local.command import ProcessLimits, StopReason
from balancer.sandbox.local.pipes import BoundedPipe, BoundedSocket

__all__ = ["watch"]

_LOOK_S = 0.02  # the shortest pause between two looks at the CPU time; by so much a limit may be overrun
_CORES = os.cpu_count() or 1


def watch(
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
