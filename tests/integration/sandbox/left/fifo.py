"""A pipe with a name."""

import os


def leave() -> None:
    os.mkfifo("/tmp/fifo")


def look() -> bool:
    return os.path.exists("/tmp/fifo")
