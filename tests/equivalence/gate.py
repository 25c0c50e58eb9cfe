"""A pool whose waits end when the test says that their time is up, instead of when it really is.

Decides only what a wait waits for. Everything else, from the queueing to the cancelling, is the pool's own code.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, cast
from unittest.mock import patch

from balancer import Lease, Pool
from balancer.core import Waiter
from balancer.core.looks import Looks

__all__ = ["PATIENCE_S", "Coarse", "HandTimedPool", "HandTimer", "Wait"]

PATIENCE_S = 120.0  # how long anything may take that takes no time; then a test fails instead of hanging


class Wait:
    """Stands for the gate of one waiter, and times out by hand.

    Args:
        waiter, gate: the pool's own.
        queued: told of this wait when it begins.
        woken: told of it when the pool wakes its waiter, in the order in which the pool does so.

    Attributes:
        timeout_s: how long the pool means to wait, in real seconds; -1: for ever.
        woken: whether the pool has woken its waiter.
        call: the acquire that waits; set by whoever made it.
    """

    call: Future[Lease]
    timeout_s: float

    def __init__(
        self, waiter: Waiter, gate: threading.Lock, queued: Callable[["Wait"], None], woken: Callable[["Wait"], None]
    ) -> None:
        self._gate = gate
        self._queued = queued
        self._late = False
        self.woken = False
        wake = waiter.wake

        def say_and_wake() -> None:
            assert not self.woken, "the pool wakes a waiter twice"
            assert not self._late, "the pool wakes a waiter whose time was up"
            self.woken = True
            woken(self)
            wake()

        waiter.wake = say_and_wake

    def acquire(self, *, timeout: float) -> bool:
        """Wait for the gate, as a lock does; False if the time was up."""
        self.timeout_s = timeout
        self._queued(self)
        if not self._gate.acquire(timeout=PATIENCE_S):
            raise AssertionError(f"nobody has ended this wait within {PATIENCE_S:g} s")
        return not self._late

    def expire(self) -> None:
        """Let the time be up; the pool must not have woken the waiter."""
        self._late = True
        self._gate.release()


class HandTimer(threading.Thread):
    """Stands for a `threading.Timer`, and rings by hand, in a thread of its own as that does.

    Attributes:
        after_s: how long the pool means it to wait.
    """

    def __init__(self, armed: "Callable[[HandTimer], None]", after_s: float, act: Callable[[], None]) -> None:
        super().__init__(target=act)
        self.after_s = after_s
        self._armed = armed
        self._set = False

    def start(self) -> None:
        self._set = True
        self._armed(self)

    def cancel(self) -> None:
        self._set = False

    def is_alive(self) -> bool:
        return self._set

    def ring(self) -> None:
        """Let its time be up, unless it was cancelled, and wait for what it does."""
        if self._set:
            self._set = False
            super().start()
            self.join(PATIENCE_S)


class Coarse(random.Random):
    """Gives numbers of twenty binary digits, so that sums with them are exact."""

    def random(self) -> float:
        return self.getrandbits(20) * 2.0**-20


class HandTimedPool(Pool):
    """The pool, with hand-timed waits and timers.

    Attributes:
        queued: told of every wait when it begins, in the thread that waits.
        woken: the waits that the pool has ended, in order.
        timers: those that the pool has started, in order.
    """

    def __init__(self, *args: Any, queued: Callable[[Wait], None], **values: Any) -> None:
        self.queued = queued
        self.woken: list[Wait] = []
        self.timers: list[HandTimer] = []
        super().__init__(*args, **values)

    def _arm(self) -> threading.Timer | None:
        timer = partial(HandTimer, self.timers.append)
        with patch("balancer.shells.alarm.threading.Timer", timer), patch("balancer.shells.alarm._SOONEST_S", 0.0):
            return super()._arm()

    def _wait(self, waiter: Waiter, gate: threading.Lock, looks: Looks | None) -> None:
        wait = Wait(waiter, gate, self.queued, self.woken.append)
        super()._wait(waiter, cast(threading.Lock, wait), looks)
