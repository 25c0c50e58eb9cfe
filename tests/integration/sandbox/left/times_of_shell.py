"""The times of the first process's file."""

import os


def leave() -> None:
    os.utime("/stage/sh", (77, 77))


def look() -> bool:
    return os.stat("/stage/sh").st_mtime == 77
