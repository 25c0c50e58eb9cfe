"""Shared memory of System V."""

import ctypes


def _libc(name: str, *args: object) -> int:
    got = getattr(ctypes.CDLL(None, use_errno=True), name)(*args)
    if got < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(got)


def leave() -> None:
    _libc("shmget", 77, 4096, 0o1600)


def look() -> bool:
    return _libc("shmget", 77, 4096, 0) >= 0
