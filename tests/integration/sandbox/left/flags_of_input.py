"""A flag of the input."""

import fcntl
import os


def leave() -> None:
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK)


def look() -> bool:
    return bool(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK)
