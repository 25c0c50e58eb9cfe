"""How long the scheduler lets the first process run."""

import ctypes
import platform
import struct


def _call(number: int, *args: object) -> int:
    if platform.machine() != "x86_64":
        raise OSError("the numbers are those of x86-64")
    got = ctypes.CDLL(None, use_errno=True).syscall(number, *args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(got)


def leave() -> None:
    _call(314, 1, struct.pack("IIQiIQQQ", 48, 0, 0, 0, 0, 5_000_000, 0, 0), 0)


def look() -> bool:
    got = ctypes.create_string_buffer(48)
    _call(315, 1, got, 48, 0)
    return bool(struct.unpack("IIQiIQQQ", got.raw)[5] == 5_000_000)
