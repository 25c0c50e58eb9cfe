"""A link to nowhere."""

import os


def leave() -> None:
    os.symlink("/nowhere", "/box/link")


def look() -> bool:
    return os.path.islink("/box/link")
