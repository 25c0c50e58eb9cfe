"""A clock that goes on while the machine sleeps, for leases that expire by it.

Python's `time.monotonic` stops during a suspend. A member that wakes up would then use leases that its coordinator has
given to others. Works on Linux; elsewhere it is Python's clock.
"""

import sys
import time

__all__ = ["clock"]

if sys.platform == "linux":

    def clock() -> float:
        """Return the time in seconds; it never goes back."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    clock = time.monotonic
