"""What is in the memory of the first process."""

import os


def leave() -> None:
    os.close(os.open("/proc/1/mem", os.O_RDWR))


def look() -> bool:
    return os.access("/proc/1/mem", os.W_OK)
