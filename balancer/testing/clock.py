"""Manual clock: it moves only when told to.

Pass it to a pool as `clock=`, or pass `clock()` wherever a strategy or the core takes `now`. The clock only returns the
time: its owner does what is due.
"""

import math

__all__ = ["ManualClock"]


class ManualClock:
    """A clock that returns the same instant until it is moved on; it never goes back.

    Args:
        start_s: the first instant, in seconds. Not 0 by default, so that an instant used as a duration is noticed.
    """

    __slots__ = ("_now_s",)

    def __init__(self, start_s: float = 1000.0) -> None:
        if not math.isfinite(start_s):
            raise ValueError(f"start_s is {start_s!r}; it must be a finite number of seconds")
        self._now_s = float(start_s)

    def __call__(self) -> float:
        """Return the instant, in seconds."""
        return self._now_s

    def advance(self, by_s: float) -> float:
        """Move on by `by_s` seconds and return the new instant.

        Raises:
            ValueError: `by_s` is negative or not finite, which a monotonic clock never is.
        """
        if not (math.isfinite(by_s) and by_s >= 0):
            raise ValueError(f"advance by {by_s!r} s: it takes a finite number >= 0")
        self._now_s += by_s
        return self._now_s

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now_s!r} s>"
