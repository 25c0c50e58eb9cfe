"""How long a test waits: for what ought to come soon, and for what must not take longer than it says.

A machine that has other things to do is no failure of the code. So what only guards against a hang is generous, and
what a test is about is stretched by the load of the machine.
"""

import os
from pathlib import Path

_LOAD = Path("/proc/loadavg")

PATIENCE_S = 300.0  # for a process, a thread or a condition that takes seconds at most; pytest's own limit is 900 s


def stretched(limit_s: float) -> float:
    """Return a limit for work of the machine, longer by as many runnable threads as each core has.

    The mean of a minute does not know yet of those that have just begun, so what counts is that or the number of now.
    Those that are less nice than this process get a larger share of a core: each step is worth a quarter more.
    """
    now = int(_LOAD.read_text().split()[3].partition("/")[0]) if _LOAD.exists() else 0
    others = max(os.getloadavg()[0], now)
    nice = max(0, os.getpriority(os.PRIO_PROCESS, 0))
    return limit_s * (1.0 + others / (os.cpu_count() or 1) * 1.25**nice)
