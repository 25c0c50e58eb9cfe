"""A pool whose waits end when the test says that their time is up, instead of when it really is.

Decides only what a wait waits for. Everything else, from the queueing to the cancelling, is the pool's own code.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

from balancer import Lease, Pool
from balancer.core import Waiter

__all__ = ["PATIENCE_S", "HandTimedPool", "Wait"]

PATIENCE_S = 10.0  # how long anything may take that takes no time; then a test fails instead of hanging


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


class HandTimedPool(Pool):
    """The pool, with hand-timed waits.

    Attributes:
        queued: told of every wait when it begins, in the thread that waits.
        woken: the waits that the pool has ended, in order.
    """

    def __init__(self, *args: Any, queued: Callable[[Wait], None], **values: Any) -> None:
        super().__init__(*args, **values)
        self.queued = queued
        self.woken: list[Wait] = []

    def _wait(self, waiter: Waiter, gate: threading.Lock) -> Lease:
        wait = Wait(waiter, gate, self.queued, self.woken.append)
        return super()._wait(waiter, cast(threading.Lock, wait))
