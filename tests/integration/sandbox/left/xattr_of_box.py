"""Much in an extended attribute."""

import os


def leave() -> None:
    os.setxattr("/box", "user.big", bytes(12_000))


def look() -> bool:
    return "user.big" in os.listxattr("/box")
