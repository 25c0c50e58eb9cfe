"""A semaphore of POSIX."""

import ctypes
import os


def leave() -> None:
    ctypes.CDLL(None).sem_open(b"/left", os.O_CREAT, 0o600, 1)


def look() -> bool:
    return os.path.exists("/dev/shm/sem.left")
