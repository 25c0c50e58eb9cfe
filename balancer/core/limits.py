"""Concurrency limits: an adaptive one (AIMD) for an endpoint, and a cap for a host.

Decides by how much a limit moves. It must not know the ledger, nor what a strategy does with a limit.
"""

import math

from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import LimitSettings

__all__ = ["Aimd", "HostGroup"]


class Aimd:
    """Additive increase, multiplicative decrease (Chiu, Jain, Computer Networks 17, 1989).

    The limit grows by one for each round of successes that had use for more, and shrinks by `backoff` when the endpoint
    says that it is overloaded or a call times out. Latency does not count: it is mostly the user's own program.

    Attributes:
        limit: whole slots, >= 1.
    """

    __slots__ = ("_backoff", "_cut_s", "_exact", "limit")

    def __init__(self, settings: LimitSettings) -> None:
        self._backoff = settings.backoff
        self._exact = float(settings.initial)
        self._cut_s = -math.inf
        self.limit = settings.initial

    def cap(self, capacity: int) -> None:
        """Learn of another capacity, which the limit never exceeds."""
        self._exact = min(self._exact, float(capacity))
        self.limit = min(self.limit, capacity)

    def ended(self, lease: Lease, outcome: Outcome, now: float, *, used: int, capacity: int) -> bool:
        """Learn from a lease; return whether `limit` is another.

        Args:
            lease, outcome, now: what ended, how and when.
            used: slots in use just before it ended.
            capacity: what the limit never exceeds.
        """
        before = self.limit
        if outcome is Outcome.OVERLOAD or (outcome is Outcome.FAILURE and lease.hint and lease.hint.timed_out):
            if lease.granted_s > self._cut_s:  # those that were out at the last cut speak of the limit before it
                self._exact = max(1.0, self._exact * self._backoff)
                self._cut_s = now
        elif outcome is Outcome.SUCCESS and used >= self.limit and self._exact < capacity:
            self._exact = min(float(capacity), self._exact + lease.slots / self.limit)
        # A sum of n times 1/n may fall short of 1 by rounding.
        self.limit = max(1, int(self._exact + 1e-9))
        return self.limit != before


class HostGroup:
    """The endpoints of one host, which share its cores, and so a cap on the slots in use.

    Attributes:
        cap: slots.
        in_flight: slots in use on all of them, those that drain included.
        members: endpoints; what they are is the caller's business.
    """

    __slots__ = ("__weakref__", "cap", "in_flight", "members")

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.in_flight = 0
        self.members: dict[object, None] = {}

    @property
    def free(self) -> int:
        """Slots that are not in use (>= 0)."""
        return max(0, self.cap - self.in_flight)
