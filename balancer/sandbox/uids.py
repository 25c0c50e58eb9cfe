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
# Above every range that distributions, systemd (up to 1 879 048 191) or containers hand out. A process id is at
# most 2^22, so that the last range ends at 2e9 + 2^30 < 2^32 - 2.
_FIRST = 2_000_000_000


class UidPool:
    """A pool of user ids, each lent to one run at a time. Thread-safe.

    Args:
        uids: what may be lent; the one returned longest ago is lent next.
    """

    def __init__(self, uids: range) -> None:
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for uid in uids:
            self._free.put(uid)

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
    first = _FIRST + pid * _SLOTS
    if first + _SLOTS <= last:
        return range(first, first + _SLOTS)
    # Few ids are mapped, as in a container: take the top of what there is. Ranges of two processes may then be
    # the same, which costs them only a shared count of processes on kernels before 5.14.
    top = last - 1  # leave out 65534, "nobody", the usual last but one
    return range(max(1, top - _SLOTS), top)


@functools.lru_cache(maxsize=1)
def _pool_of(pid: int) -> UidPool:
    return UidPool(high_range(Path("/proc/self/uid_map").read_text(), pid))


def own_uids() -> UidPool:
    """Return this process's pool (a forked child gets its own)."""
    return _pool_of(os.getpid())
