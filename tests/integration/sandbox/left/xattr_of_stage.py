"""An extended attribute of what is shown."""

import os


def leave() -> None:
    os.setxattr("/stage", "user.h", b"left")


def look() -> bool:
    return "user.h" in os.listxattr("/stage")
