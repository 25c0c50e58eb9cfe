"""The line on which the first process reports."""

import os


def leave() -> None:
    os.close(os.open("/proc/1/fd/0", os.O_WRONLY))


def look() -> bool:
    return os.access("/proc/1/fd/0", os.W_OK)
