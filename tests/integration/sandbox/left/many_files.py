"""More files than can be removed in one command."""

import os


def leave() -> None:
    for number in range(2000):
        os.close(os.open(f"/dev/shm/{number}", os.O_CREAT))


def look() -> bool:
    return os.path.exists("/dev/shm/1999")
