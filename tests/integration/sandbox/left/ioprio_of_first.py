"""The priority of the first process for disks."""

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
    _call(251, 1, 1, 3 << 13)


def look() -> bool:
    return _call(252, 1, 1) == 3 << 13
