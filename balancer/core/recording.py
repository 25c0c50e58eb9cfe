"""Recordings: the leases that have ended, for a trace.

While a trace is written, the ledger puts each ended lease into a bounded queue, with its outcome and its time. Grants
are not recorded, as the ledger has the leases that are out. The rows are made later, elsewhere.
"""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from balancer.core.ledger import Ledger
from balancer.endpoint import Endpoint, Lease
from balancer.strategy import Request

__all__ = ["Collected", "Grant", "Recording", "grant_of"]


LONG_S: Final = 1.0  # a call that is out for longer is also told before it ends, once, in case of a kill


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


class Collected(NamedTuple):
    """What has happened since the last `collect`.

    Attributes:
        ended: leases that have ended, in that order.
        out: those that have been out for long, and have not been told yet; at last, all that are out.
        lost: how many leases have ended but were lost because the queue was full.
        now: the time.
    """

    ended: Sequence[Lease]
    out: Sequence[Grant]
    lost: int
    now: float


class Recording:
    """The leases that are granted from now on and have ended, for one trace, until `end`. There may be several at once.

    Args:
        most: how many to keep. When full, a new one replaces the oldest, which is lost.
        ledger: the ledger of the leases.

    Attributes:
        kept: the ended leases, oldest first; written by the ledger.
    """

    def __init__(self, most: int, ledger: Ledger) -> None:
        self.kept: deque[Lease] = deque(maxlen=most)
        self._ledger = ledger
        self._begun = self._told = ledger.granted  # ids
        self._ends = ledger.granted - len(ledger.out)  # how many ended before, or are known to be lost
        ledger.sinks = (*ledger.sinks, self.kept)

    def end(self) -> None:
        """Stop."""
        self._ledger.sinks = tuple(kept for kept in self._ledger.sinks if kept is not self.kept)

    def collect(self, now: float, *, is_last: bool) -> Collected:
        """Take out what there is, under the shell's lock; O(leases ended meanwhile, or granted within `LONG_S`)."""
        ledger, since = self._ledger, self._begun if is_last else self._told
        ended = list(self.kept)
        self.kept.clear()
        new = takewhile(lambda lease: lease.id > since, reversed(ledger.out.values()))
        out = [grant_of(lease) for lease in new if is_last or now - lease.granted_s > LONG_S][::-1]
        self._told = out[-1].id if out else since
        ends = ledger.granted - len(ledger.out)
        lost = ends - self._ends - len(ended)
        self._ends = ends
        return Collected([lease for lease in ended if lease.id > self._begun], out, lost, now)


def grant_of(lease: Lease) -> Grant:
    """Return the facts of a lease at its grant."""
    waited_s: float = getattr(lease, "waited_s", 0.0)
    priority: int = getattr(lease, "priority", 0)
    return Grant(
        lease.id, lease.endpoint, lease.granted_s, lease.slots, lease.holder, lease.request, waited_s, priority
    )
