"""The input itself."""

import os


def leave() -> None:
    os.close(os.open("/proc/self/fd/0", os.O_RDWR))


def look() -> bool:
    return os.access("/proc/self/fd/0", os.W_OK)
