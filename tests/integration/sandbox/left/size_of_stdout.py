"""The size of the pipe."""

import fcntl


def leave() -> None:
    fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 8192)


def look() -> bool:
    return fcntl.fcntl(1, fcntl.F_GETPIPE_SZ) == 8192
