"""A timer thread: one alarm for a pool, at the earliest instant that is known.

Decides whether a new timer is needed. It must not know what is due. `arm` and `rings` are called under the pool's
lock; `start` is not, for to start a thread takes long.
"""

import math
import threading
from collections.abc import Callable

__all__ = ["Alarm"]

_SOONEST_S = 0.001  # a clock that stands still, as those of tests do, must not make it spin


class Alarm:
    """Calls `ring` in a thread of its own, a daemon, when something is due.

    Args:
        ring: asks `rings` first, under the lock: another timer may have taken the place of its own.
        clock: seconds; never goes back.
    """

    def __init__(self, ring: Callable[[], object], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._timer: threading.Timer | None = None
        self._due_s = math.inf  # what the timer is for

    def arm(self, due_s: float) -> threading.Timer | None:
        """Return a timer for `due_s`, to be started; None if there is one that is early enough."""
        if self._timer is not None:
            if due_s >= self._due_s and self._timer.is_alive():
                return None
            self._timer.cancel()
        left_s = max(_SOONEST_S, due_s - self._clock())
        self._timer, self._due_s = threading.Timer(min(left_s, threading.TIMEOUT_MAX), self._ring), due_s
        self._timer.daemon = True
        return self._timer

    def rings(self) -> bool:
        """Return whether the thread that asks is the timer's; it has done its work then, and the next takes its place.

        False if another has taken its place already.
        """
        if threading.current_thread() is not self._timer:
            return False
        self._timer = None
        return True

    def cancel(self) -> None:
        """Ring no more, unless it is armed again."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
