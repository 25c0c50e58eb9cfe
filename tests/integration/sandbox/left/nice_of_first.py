"""The priority of the first process."""

import os


def leave() -> None:
    os.setpriority(os.PRIO_PROCESS, 1, 19)


def look() -> bool:
    return os.getpriority(os.PRIO_PROCESS, 1) == 19
