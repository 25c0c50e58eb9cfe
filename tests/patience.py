"""How long a test waits: for what ought to come soon, and for what must not take longer than it says.

A machine that has other things to do is no failure of the code. So what only guards against a hang is generous, and
what a test is about is stretched by the load of the machine.
"""

import os

__all__ = ["PATIENCE_S", "stretched"]

PATIENCE_S = 300.0  # for a process, a thread or a condition that takes seconds at most; pytest's own limit is 900 s


def stretched(limit_s: float) -> float:
    """Return a limit for work of the machine, longer by as many runnable threads as each core has."""
    return limit_s * (1.0 + os.getloadavg()[0] / (os.cpu_count() or 1))
