"""A clock that goes on while the machine sleeps, for leases that expire by it.

Decides that the time in which the machine was suspended counts: the clock of Python, `time.monotonic`, stops then, and
a member that wakes up would go on with what its coordinator has given to others. Linux; elsewhere it is Python's.
"""

import time

__all__ = ["clock"]

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def clock() -> float:
    """Return the time in seconds; it never goes back."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
