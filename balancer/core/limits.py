"""Concurrency limits: an adaptive one (AIMD) for an endpoint, and a cap for a host."""

import math
from typing import Any

from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import LimitSettings

__all__ = ["Aimd", "HostGroup"]

_BACKOFF = 0.5  # the part of a limit that an overload leaves


class Aimd:
    """Adaptive limit: additive increase, multiplicative decrease (Chiu, Jain, Computer Networks 17, 1989).

    The limit grows by one for each round of successes while it is fully used. It is halved when the
    endpoint is overloaded or a call times out. Latency does not count: most of it is the user's program.

    Attributes:
        limit: whole slots, >= 1.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._exact = float(settings.initial)
        self._cut_s = -math.inf
        self.limit = settings.initial

    def cap(self, capacity: int) -> None:
        """Set a new capacity, which the limit never exceeds."""
        self._exact = min(self._exact, float(capacity))
        self.limit = min(self.limit, capacity)

    def ended(self, lease: Lease, outcome: Outcome, now: float, *, used: int, capacity: int) -> bool:
        """Record the end of a lease. Return whether `limit` has changed.

        Args:
            lease, outcome, now: the lease, how it ended, and the time.
            used: slots in use just before it ended.
            capacity: the most that the limit may be.
        """
        before = self.limit
        if outcome is Outcome.OVERLOAD or (outcome is Outcome.FAILURE and lease.hint and lease.hint.timed_out):
            if lease.granted_s > self._cut_s:  # leases granted before the last cut belong to the limit before it
                self._exact = max(1.0, self._exact * _BACKOFF)
                self._cut_s = now
        elif outcome is Outcome.SUCCESS and used >= self.limit and self._exact < capacity:
            self._exact = min(float(capacity), self._exact + lease.slots / self.limit)
        # Because of rounding, a sum of n times 1/n may be below 1.
        self.limit = max(1, int(self._exact + 1e-9))
        return self.limit != before


class HostGroup:
    """The endpoints of one host. They share its cores, so the slots in use have a common cap.

    Attributes:
        cap: slots.
        in_flight: slots in use on all of them, also on draining ones.
        members: the endpoints, as keys of the caller's choice.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.in_flight = 0
        self.members: dict[Any, None] = {}

    @property
    def free(self) -> int:
        """Slots that are not in use (>= 0)."""
        return max(0, self.cap - self.in_flight)
