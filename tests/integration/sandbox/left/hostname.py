"""The name of the machine."""

import socket


def leave() -> None:
    socket.sethostname("left")


def look() -> bool:
    return socket.gethostname() == "left"
