"""How the first process is scheduled."""

import os


def leave() -> None:
    os.sched_setscheduler(1, os.SCHED_BATCH, os.sched_param(0))


def look() -> bool:
    return os.sched_getscheduler(1) == os.SCHED_BATCH
