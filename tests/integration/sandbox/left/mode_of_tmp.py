"""The mode of a folder that its owner may still use."""

import os


def leave() -> None:
    os.chmod("/tmp", 0o1744)


def look() -> bool:
    return os.stat("/tmp").st_mode & 0o7777 == 0o1744
