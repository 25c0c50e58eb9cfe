"""A folder that gives its group to all files."""

import os


def leave() -> None:
    os.chmod("/box", 0o2711)


def look() -> bool:
    return os.stat("/box").st_mode & 0o7777 == 0o2711
