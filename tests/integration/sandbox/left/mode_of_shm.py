"""A folder that cannot be listed."""

import os


def leave() -> None:
    os.chmod("/dev/shm", 0o300)


def look() -> bool:
    return os.stat("/dev/shm").st_mode & 0o777 == 0o300
