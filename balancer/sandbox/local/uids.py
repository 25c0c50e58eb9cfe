"""User ids for programs, when the balancer itself is root.

Root is not bound by RLIMIT_NPROC, and may do more than a program should; so programs run as users that nobody
else uses, one for each concurrent run, lest the processes of one run count for another. User ids are a
resource of the machine, like ports, so there is one pool of them per process and ranges of processes differ.
It must not know what is run.
"""

import functools
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["UidPool", "high_range", "own_uids"]

_SLOTS = 256  # concurrent runs of one process
# Above every range that distributions, systemd (up to 1 879 048 191) or containers hand out, and below 2^31:
# bubblewrap writes user ids as signed numbers, and the kernel refuses its map for any from there on.
_FIRST = 1_879_048_192
_ROOM = 2**31 - _FIRST  # 2^28: the ranges of 2^20 processes


class UidPool:
    """A pool of user ids, each lent to one run at a time. Thread-safe.

    Args:
        uids: what may be lent; the one returned longest ago is lent next.
    """

    def __init__(self, uids: range) -> None:
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for uid in uids:
            self._free.put(uid)

    @property
    def free(self) -> int:
        """How many are not out, about."""
        return self._free.qsize()

    @contextmanager
    def lend(self) -> Iterator[int]:
        """Lend a user id for the length of a `with` block; wait for one if all are out."""
        uid = self._free.get()
        try:
            yield uid
        finally:
            self._free.put(uid)


def high_range(uid_map: str, pid: int) -> range:
    """Return the user ids that process `pid` may use for programs.

    Args:
        uid_map: text of /proc/self/uid_map: lines of (first id inside, first id outside, how many).
        pid: tells processes apart, so that their ranges do not overlap where there is room for it.
    """
    last = max(int(first) + int(count) for first, _, count in map(str.split, uid_map.splitlines())) - 1
    # Two processes have the same range only if their ids differ by a multiple of 2^20. That costs them a shared
    # count of processes, and only without isolation or on kernels before 5.14.
    first = _FIRST + pid * _SLOTS % _ROOM
    if first + _SLOTS <= last:
        return range(first, first + _SLOTS)
    # Few ids are mapped, as in a container: take the top of what there is, at the same cost.
    top = last - 1  # leave out 65534, "nobody", the usual last but one
    return range(max(1, top - _SLOTS), top)


@functools.lru_cache(maxsize=1)
def _pool_of(pid: int) -> UidPool:
    return UidPool(high_range(Path("/proc/self/uid_map").read_text(), pid))


def own_uids() -> UidPool:
    """Return this process's pool (a forked child gets its own)."""
    return _pool_of(os.getpid())
