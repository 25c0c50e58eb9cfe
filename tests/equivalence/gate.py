"""A pool whose waits and timers end when the test says that their time is up, instead of when it really is.

Decides only what a thread waits for: every thread that waits or works is parked until another one lets it go on, and
that one waits until it is parked again. So one thing happens at a time, in an order that does not depend on how threads
are scheduled. Everything else, from the queueing to the cancelling, is the pool's own code.
"""

import random
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from unittest.mock import patch

from balancer import Pool
from balancer.core import Waiter

__all__ = ["PATIENCE_S", "Caller", "Coarse", "HandTimedPool", "HandTimer"]

PATIENCE_S = 10.0  # how long anything may take that takes no time; then a test fails instead of hanging


class Caller:
    """A thread that makes one call, and can be told to go on; it says when it is parked again, or has ended."""

    def __init__(self) -> None:
        self._parked = SimpleQueue[bool]()
        self._go = SimpleQueue[bool]()
        self.is_over = False

    def park(self) -> bool:
        """Wait, in the caller's own thread, until it may go on; return whether that is because time was up."""
        self._parked.put(True)
        return self._got(self._go, "nobody has let this caller go on")

    def ended(self) -> None:
        """Say, in the caller's own thread, that there is nothing more to come."""
        self.is_over = True
        self._parked.put(False)

    def go_on(self, *, late: bool = False) -> None:
        """Let it go on, and wait until it is parked again or has ended."""
        self._go.put(late)
        self.await_parked()

    def await_parked(self) -> None:
        """Wait until it is parked or has ended."""
        self._got(self._parked, "a caller neither waits nor has an answer")

    def _got(self, queue: SimpleQueue[bool], otherwise: str) -> bool:
        try:
            return queue.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"{otherwise} within {PATIENCE_S:g} s") from None


class _Gate:
    """Stands for the gate of one caller. It is waited at once for each look, and times out by hand.

    Args:
        caller: whose wait it is.
        after: calls a function later.
        woken: told when the pool wakes the caller.
    """

    is_over = False

    def __init__(
        self,
        caller: Caller,
        after: Callable[[float, Callable[[], None]], None],
        woken: "Callable[[_Gate], None]",
    ) -> None:
        self._caller = caller
        self._after = after
        self._told = woken
        self._parked = self._woken = False
        self._turn = 0

    def wake(self) -> bool:
        assert not self._woken, "the pool wakes a waiter twice"
        self._woken = True
        self._told(self)
        if self._parked:
            self._go_on(late=False)
        return True

    def wait(self, nap_s: float) -> None:
        self._turn += 1
        self._parked = True
        self._after(nap_s, partial(self._expire, self._turn))
        self._caller.park()

    def _expire(self, turn: int) -> None:
        if self._parked and turn == self._turn:
            self._go_on(late=True)

    def _go_on(self, *, late: bool) -> None:
        self._parked = False
        self._caller.go_on(late=late)


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
        caller: returns whose thread it is.
        after: calls a function later.
        woken: told of every waiter that the pool wakes, in order.
        timers: those that the pool has started, in order.
    """

    def __init__(
        self,
        *args: Any,
        caller: Callable[[], Caller],
        after: Callable[[float, Callable[[], None]], None],
        woken: Callable[[Waiter], None],
        jitter: random.Random,
        **values: Any,
    ) -> None:
        self.caller, self.after, self.woken = caller, after, woken
        self.timers: list[HandTimer] = []
        super().__init__(*args, **values)
        self.engine.jitter = jitter
        self._armed = self.engine._arm
        self.engine._arm = self._arm  # type: ignore[method-assign]
        self.engine.waits._new_gate = lambda: _Gate(self.caller(), self.after, self._told)

    def _told(self, gate: _Gate) -> None:
        self.woken(self.engine.waits.places[gate])

    def _arm(self) -> threading.Timer | None:
        timer = partial(HandTimer, self.timers.append)
        with patch("balancer.shells.waiting.threading.Timer", timer), patch("balancer.shells.waiting._SOONEST_S", 0.0):
            return self._armed()
