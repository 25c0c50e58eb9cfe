"""Lease events: what the journal says of leases that are granted and ended.

Decides what is told of a lease. It must not know who waits: a ledger's `take` and `end` stand in front of these only
while somebody wants to hear of leases, so that a lease that nobody hears of costs nothing.
"""

from balancer.core.events import Abandoned, Ended, Expired, Granted, Journal, Leaked
from balancer.core.ledger import Ledger
from balancer.endpoint import Lease, Outcome
from balancer.strategy import Request

__all__ = ["LeaseEventLog"]


class LeaseEventLog:
    """A ledger's `take` and `end`, told of."""

    def __init__(self, ledger: Ledger, journal: Journal) -> None:
        self._ledger = ledger
        self._journal = journal

    def take(self, request: Request, now: float) -> Lease | None:
        """Do what `Ledger.take` does, and tell of it."""
        lease = self._ledger.take(request, now)
        if lease is not None:
            self.granted(lease, 0.0)
        return lease

    def end(self, lease: Lease, outcome: Outcome, now: float) -> tuple[()]:
        """Do what `Ledger.end` does, and tell of it."""
        was_out = lease.account is not None
        # Made before, and told without a call of Python's: an interrupt comes at such a call.
        event = Ended(now, *_facts(lease), outcome, now - lease.granted_s)
        try:
            served = self._ledger.end(lease, outcome, now)
        finally:  # a strategy may raise when the lease has ended already
            if was_out and lease.account is None:
                self._journal.happened.append(event)
        return served  # not in the block: an interrupt between a call and a return there would pass `finally` by

    def granted(self, lease: Lease, waited_s: float) -> None:
        """Tell of a grant."""
        self._journal.note(Granted, lease.granted_s, *_facts(lease), waited_s)

    def expired(self, lease: Lease, now: float) -> None:
        """Tell that the time of a lease is over."""
        self._journal.note(Expired, now, *_facts(lease), now - lease.granted_s)

    def abandoned(self, lease: Lease, now: float) -> None:
        """Tell that nobody has a lease any more."""
        self._journal.note(Abandoned, now, *_facts(lease), now - lease.granted_s)

    def leaked(self, lease: Lease, now: float) -> None:
        """Tell that a lease counts as forgotten."""
        self._journal.note(Leaked, now, *_facts(lease), getattr(lease, "where", ""), now - lease.granted_s)


def _facts(lease: Lease) -> tuple[int, str, str, int]:
    return lease.id, lease.endpoint.name, lease.holder, lease.slots
