"""A socket without a file."""

import os
import socket
import time


def leave() -> None:
    one = socket.socket(socket.AF_UNIX)
    one.bind("\0left")
    one.listen()
    if os.fork() == 0:
        os.setsid()
        time.sleep(97)


def look() -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex("\0left") == 0
