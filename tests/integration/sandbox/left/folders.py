"""Folders in folders."""

import os


def leave() -> None:
    os.makedirs("/tmp/deep/er/left")


def look() -> bool:
    return os.path.exists("/tmp/deep/er/left")
