"""Fork safety: in a forked child, a pool raises `PoolForked`.

The child has one thread. It has copies of locks that other threads held, and of leases that belong to the parent. In
the child, the functions that a pool calls to lock are replaced, so leases in the parent cost nothing more.
"""

import os
from typing import NoReturn, Protocol
from weakref import WeakSet

from balancer.errors import PoolForked

__all__ = ["ForkedLock", "notify_of_forks"]


class _Minding(Protocol):
    def forked(self, parent: int) -> None:
        """Called in the child after a fork; `parent` is the process id of the parent."""
        ...


_minding: WeakSet[_Minding] = WeakSet()
_process = os.getpid()


def notify_of_forks(it: _Minding) -> None:
    """Call `it.forked` in each child process of this one, for as long as `it` lives."""
    _minding.add(it)


def _in_child() -> None:
    global _process
    parent, _process = _process, os.getpid()
    for it in list(_minding):
        it.forked(parent)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class ForkedLock:
    """Replaces the lock of a pool in a forked child. It cannot be acquired."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def acquire(self, blocking: bool = True, timeout: float = -1) -> NoReturn:
        """Raise `PoolForked`."""
        raise PoolForked(self._parent)

    def release(self) -> NoReturn:
        """Raise RuntimeError, as a lock that is not held does."""
        raise RuntimeError("cannot release a lock that is not held")

    def _is_owned(self) -> bool:
        return False

    def __enter__(self) -> NoReturn:
        raise PoolForked(self._parent)

    def __exit__(self, *error: object) -> None:
        pass
