"""Fork safety: a pool is of no use in a forked child, and says so.

Decides how whatever has locks and threads hears that it is in a forked child. The child has one thread, copies of locks
that others held just then, and of leases that are the parent's to give back. A lease costs nothing by it: what a pool
calls to lock is replaced in the child.
"""

import os
from typing import NoReturn, Protocol
from weakref import WeakSet

from balancer.errors import PoolForked

__all__ = ["ForkedLock", "notify_of_forks"]


class _Minding(Protocol):
    def forked(self, parent: int) -> None:
        """Be told, in the child, that the process was forked off `parent`."""
        ...


_minding: WeakSet[_Minding] = WeakSet()
_process = os.getpid()


def notify_of_forks(it: _Minding) -> None:
    """Tell `it` in each process that is forked off this one, for as long as it lives."""
    _minding.add(it)


def _in_child() -> None:
    global _process
    parent, _process = _process, os.getpid()
    for it in list(_minding):
        it.forked(parent)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class ForkedLock:
    """A lock that nobody gets: it stands for that of a pool in a forked child."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def acquire(self, blocking: bool = True, timeout: float = -1) -> NoReturn:
        """Raise `PoolForked`."""
        raise PoolForked(self._parent)

    def release(self) -> NoReturn:
        """Raise RuntimeError, as a lock does that is not held."""
        raise RuntimeError("cannot release a lock that is not held")

    def _is_owned(self) -> bool:
        return False

    def __enter__(self) -> NoReturn:
        raise PoolForked(self._parent)

    def __exit__(self, *error: object) -> None:
        pass
