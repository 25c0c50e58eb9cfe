"""A process that no signal but one ends."""

import os
import signal
import time


def leave() -> None:
    if os.fork() == 0:
        os.setsid()
        for number in (1, 2, 3, 15):
            signal.signal(number, signal.SIG_IGN)
        open("/tmp/stays", "w").close()
        while True:
            os.utime("/tmp/stays")
            time.sleep(0.01)


def look() -> bool:
    time.sleep(0.05)
    return os.path.exists("/tmp/stays") and time.time() - os.stat("/tmp/stays").st_mtime < 1
