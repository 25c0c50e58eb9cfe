"""How many files there have been."""

import os


def leave() -> None:
    for _ in range(3000):
        os.close(os.open("/tmp/many", os.O_CREAT))
        os.unlink("/tmp/many")


def look() -> bool:
    file = os.open("/tmp/one", os.O_CREAT)
    number = os.fstat(file).st_ino
    os.unlink("/tmp/one")
    return number > 3000
