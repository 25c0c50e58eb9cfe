"""The times of the folders."""

import os

FOLDERS = ("/box", "/tmp", "/dev/shm")


def leave() -> None:
    for folder in FOLDERS:
        os.utime(folder, (1, 1))


def look() -> bool:
    return any(os.stat(folder).st_mtime == 1 for folder in FOLDERS)
