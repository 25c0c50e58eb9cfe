"""The cores of the first process."""

import os


def leave() -> None:
    if len(os.sched_getaffinity(1)) == 1:
        raise OSError("there is one core")
    os.sched_setaffinity(1, {min(os.sched_getaffinity(1))})


def look() -> bool:
    return len(os.sched_getaffinity(1)) == 1
