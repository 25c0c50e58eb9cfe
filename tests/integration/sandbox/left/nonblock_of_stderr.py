"""A flag of the pipe, O_NONBLOCK."""

import fcntl
import os


def leave() -> None:
    fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) | os.O_NONBLOCK)


def look() -> bool:
    return bool(fcntl.fcntl(2, fcntl.F_GETFL) & os.O_NONBLOCK)
