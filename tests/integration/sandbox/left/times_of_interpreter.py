"""The times of a file that all programs read."""

import os
import sys


def leave() -> None:
    os.utime(sys.executable, (77, 77))


def look() -> bool:
    return os.stat(sys.executable).st_mtime == 77
