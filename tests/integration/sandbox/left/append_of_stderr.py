"""A flag of the pipe, O_APPEND."""

import fcntl
import os


def leave() -> None:
    fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) | os.O_APPEND)


def look() -> bool:
    return bool(fcntl.fcntl(2, fcntl.F_GETFL) & os.O_APPEND)
