"""The group of a folder."""

import os


def leave() -> None:
    os.chown("/tmp", -1, 7)


def look() -> bool:
    return os.stat("/tmp").st_gid == 7
