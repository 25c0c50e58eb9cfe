"""Leases, kept as they come and go, for whoever writes a trace.

Decides what is kept of a lease, which is next to nothing: the lease itself, what it was asked for, and how it ended. To
tell of it, as `telling` does, costs several times as much. A bounded queue is all that a lease meets; who empties it,
and makes rows of it, is a shell's business. It must not know who waits.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from balancer.endpoint import Lease, Outcome
from balancer.strategy import Request

__all__ = ["Recording"]


class Recording:
    """A take and an end, kept: of a grant (lease, request, seconds waited, priority), of an end (lease, outcome, now).

    Args:
        most: that are kept at once; what finds the queue full is counted.

    Attributes:
        kept: oldest first. Written under the shell's lock; whoever empties it takes from its left without one.
        lost: how many found it full.
    """

    __slots__ = ("_end", "_most", "_take", "kept", "lost")

    def __init__(self, most: int) -> None:
        self.kept: deque[Any] = deque()
        self.lost = 0
        self._most = most
        self._take: Callable[[Request, float], Lease | None]
        self._end: Callable[[Lease, Outcome, float], tuple[()]]

    def stand_before(
        self, take: Callable[[Request, float], Lease | None], end: Callable[[Lease, Outcome, float], tuple[()]]
    ) -> None:
        """Keep what these two do from now on."""
        self._take, self._end = take, end

    def take(self, request: Request, now: float) -> Lease | None:
        """Do what stands behind, and keep it."""
        lease = self._take(request, now)
        if lease is not None:
            if len(self.kept) < self._most:
                self.kept.append((lease, request, 0.0, None))
            else:
                self.lost += 1
        return lease

    def end(self, lease: Lease, outcome: Outcome, now: float) -> tuple[()]:
        """Do what stands behind, and keep it."""
        was_out = lease.account is not None
        row = (lease, outcome, now)
        try:
            served = self._end(lease, outcome, now)
        finally:  # a strategy may raise when the lease has ended already
            if was_out and lease.account is None:
                if len(self.kept) < self._most:
                    self.kept.append(row)
                else:
                    self.lost += 1
        return served  # not in the block, as in `Telling.end`

    def granted(self, lease: Lease, request: Request, waited_s: float, priority: int) -> None:
        """Keep that one who waited has a lease."""
        if len(self.kept) < self._most:
            self.kept.append((lease, request, waited_s, priority))
        else:
            self.lost += 1
