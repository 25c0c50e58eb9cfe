"""Recordings: the leases that have ended, for a trace.

While a trace is written, the ledger puts each ended lease into a bounded queue, with its outcome, its time and the id
of the last grant before. Grants are not recorded, as the ledger has the leases that are out. The rows are made later,
elsewhere.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import attrgetter
from typing import Any, NamedTuple

from balancer.core.ledger import Ledger
from balancer.endpoint import Endpoint, Lease
from balancer.strategy import Request

__all__ = ["Collected", "Grant", "Recording", "grant_of"]


class Grant(NamedTuple):
    """The facts of a lease at its grant. It does not refer to the lease, so that abandoned leases can be found."""

    id: int
    endpoint: Endpoint
    granted_s: float
    slots: int
    holder: str
    request: Request
    waited_s: float
    priority: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What has happened since the last `collect`.

    Attributes:
        ended: leases that have ended, in that order.
        out: those that were granted meanwhile and are out, in that order.
        lost: how many leases have ended but were lost because the queue was full.
        still_out: the ids of all that are out. None if none was lost: then the other fields say it.
        since: the id of the last grant before.
        now: the time.
    """

    ended: Sequence[Lease]
    out: Sequence[Grant]
    lost: int
    still_out: frozenset[int] | None
    since: int
    now: float

    def in_order(self) -> "Iterator[Grant | Lease]":
        """Yield the grants and the ended leases, in the order of the ledger."""
        new: list[Any] = [lease for lease in self.ended if lease.id > self.since]
        new += self.out
        new.sort(key=attrgetter("id"), reverse=True)  # the oldest last, for pop()
        for lease in self.ended:
            while new and new[-1].id <= lease.over[2]:
                yield _granted(new.pop())
            yield lease
        yield from map(_granted, reversed(new))


class Recording:
    """The leases that have ended, for one trace, until `end`. There may be several at once.

    Args:
        most: how many to keep. When full, a new one replaces the oldest, which is lost.
        ledger: the ledger of the leases.

    Attributes:
        kept: the ended leases, oldest first; written by the ledger.
        before: the leases that were out at the start.
    """

    def __init__(self, most: int, ledger: Ledger) -> None:
        self.kept: deque[Lease] = deque(maxlen=most)
        self.before = [grant_of(lease) for lease in ledger.out.values()]
        self._ledger = ledger
        self._seen = ledger.granted
        self._ends = ledger.granted - len(ledger.out)  # how many ended before, or are known to be lost
        ledger.sinks = (*ledger.sinks, self.kept)

    def end(self) -> None:
        """Stop."""
        self._ledger.sinks = tuple(kept for kept in self._ledger.sinks if kept is not self.kept)

    def collect(self, now: float) -> Collected:
        """Take out what there is, under the shell's lock; O(leases granted or ended meanwhile)."""
        ledger, seen = self._ledger, self._seen
        ended = list(self.kept)
        self.kept.clear()
        new = takewhile(lambda lease: lease.id > seen, reversed(ledger.out.values()))
        out = [grant_of(lease) for lease in new][::-1]
        ends = ledger.granted - len(ledger.out)
        lost = ends - self._ends - len(ended)
        self._ends, self._seen = ends, ledger.granted
        return Collected(ended, out, lost, frozenset(ledger.out) if lost else None, seen, now)


def grant_of(lease: Lease) -> Grant:
    """Return the facts of a lease at its grant."""
    waited_s: float = getattr(lease, "waited_s", 0.0)
    priority: int = getattr(lease, "priority", 0)
    return Grant(
        lease.id, lease.endpoint, lease.granted_s, lease.slots, lease.holder, lease.request, waited_s, priority
    )


def _granted(it: Any) -> Grant:
    return it if isinstance(it, Grant) else grant_of(it)
