"""A queue of POSIX."""

import ctypes
import os


def _libc(name: str, *args: object) -> int:
    got = getattr(ctypes.CDLL(None, use_errno=True), name)(*args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(got)


def leave() -> None:
    _libc("mq_open", b"/left", os.O_CREAT | os.O_RDWR, 0o600, None)


def look() -> bool:
    return _libc("mq_open", b"/left", os.O_RDWR) >= 0
