"""The space of a folder."""

import os


def leave() -> None:
    os.truncate(os.open("/tmp/large", os.O_CREAT | os.O_RDWR), 60 * 2**20)


def look() -> bool:
    return os.path.exists("/tmp/large")
