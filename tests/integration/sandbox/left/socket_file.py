"""A socket with a name."""

import os
import socket


def leave() -> None:
    socket.socket(socket.AF_UNIX).bind("/tmp/socket")


def look() -> bool:
    return os.path.exists("/tmp/socket")
