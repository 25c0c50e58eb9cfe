"""A timer thread: one alarm for a pool, at the earliest due time.

Call `arm` and `rings` under the pool's lock. Call `start` of the timer without it, as starting a thread takes long.
"""

import math
import threading
from collections.abc import Callable

__all__ = ["Alarm"]

_SOONEST_S = 0.001  # so that a clock that stands still, as in tests, does not make it spin


class Alarm:
    """Calls `ring` in a daemon thread when something is due.

    Args:
        ring: must first ask `rings`, under the lock: another timer may have replaced its own.
        clock: returns seconds; never goes back.
    """

    def __init__(self, ring: Callable[[], object], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._timer: threading.Timer | None = None
        self._due_s = math.inf  # the due time of the current timer

    def arm(self, due_s: float) -> threading.Timer | None:
        """Return a new timer for `due_s`, not started. None if the current one is early enough."""
        if self._timer is not None:
            if due_s >= self._due_s and self._timer.is_alive():
                return None
            self._timer.cancel()
        left_s = max(_SOONEST_S, due_s - self._clock())
        self._timer, self._due_s = threading.Timer(min(left_s, threading.TIMEOUT_MAX), self._ring), due_s
        self._timer.daemon = True
        return self._timer

    def rings(self) -> bool:
        """Return whether the current thread is the timer's. If so, the timer is done, and a new one may be armed.

        False if another timer has replaced it.
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
