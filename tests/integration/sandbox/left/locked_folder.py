"""A folder that cannot be removed."""

import os


def leave() -> None:
    os.makedirs("/box/locked/left")
    os.chmod("/box/locked", 0)


def look() -> bool:
    return os.path.exists("/box/locked")
