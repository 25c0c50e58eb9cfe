"""A port."""

import os
import socket
import time


def leave() -> None:
    one = socket.socket(type=socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 4001))
    if os.fork() == 0:
        os.setsid()
        time.sleep(97)


def look() -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        try:
            one.bind(("127.0.0.1", 4001))
        except OSError:
            return True
        return False
