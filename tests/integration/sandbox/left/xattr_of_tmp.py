"""An extended attribute of a folder: the state of the slow program that was accepted."""

import os


def leave() -> None:
    os.setxattr("/tmp", "user.h", b"left")


def look() -> bool:
    return "user.h" in os.listxattr("/tmp")
