"""An extended attribute of the shared memory."""

import os


def leave() -> None:
    os.setxattr("/dev/shm", "user.h", b"left")


def look() -> bool:
    return "user.h" in os.listxattr("/dev/shm")
