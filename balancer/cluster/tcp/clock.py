"""A clock that goes on while the machine sleeps, for leases that expire by it.

Python's `time.monotonic` stops during a suspend. A member that wakes up would then use leases that its coordinator has
given to others. Works on Linux; elsewhere it is Python's clock.
"""

import time

__all__ = ["clock"]

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def clock() -> float:
    """Return the time in seconds; it never goes back."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
