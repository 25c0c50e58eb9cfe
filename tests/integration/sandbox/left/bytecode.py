"""A module that is compiled already."""

import os


def leave() -> None:
    os.mkdir("/box/__pycache__")
    open("/box/__pycache__/random.cpython-313.pyc", "w").close()


def look() -> bool:
    return os.path.exists("/box/__pycache__")
