"""A semaphore of System V."""

import ctypes


def _libc(name: str, *args: object) -> int:
    got = getattr(ctypes.CDLL(None, use_errno=True), name)(*args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(got)


def leave() -> None:
    _libc("semget", 77, 1, 0o1600)


def look() -> bool:
    return _libc("semget", 77, 1, 0) >= 0
