"""A key of the session."""

import ctypes
import platform


def _call(number: int, *args: object) -> int:
    if platform.machine() != "x86_64":
        raise OSError("the numbers are those of x86-64")
    got = ctypes.CDLL(None, use_errno=True).syscall(number, *args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(got)


def leave() -> None:
    _call(248, b"user", b"balancer-left", b"left", 4, -3)


def look() -> bool:
    return _call(250, 10, -3, b"user", b"balancer-left", 0) > 0
