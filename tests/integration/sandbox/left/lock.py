"""A lock on a file of the program."""

import fcntl
import os
import time


def leave() -> None:
    file = os.open("/box", os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    if os.fork() == 0:
        os.setsid()
        time.sleep(97)


def look() -> bool:
    try:
        fcntl.flock(os.open("/box", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
