"""How many processes there have been."""

import os


def leave() -> None:
    for _ in range(150):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)


def look() -> bool:
    return os.getpid() > 150
