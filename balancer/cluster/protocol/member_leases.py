"""A member's leases: those in use, and idle ones of a block that nobody uses yet.

Decides which of the latter is next, and what another caller may have at all. It must not know who asks, nor the owner.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from math import inf

from balancer.cluster.protocol.messages import ClaimedLease, LeaseToken
from balancer.endpoint import Endpoint
from balancer.strategy import Request

__all__ = ["IdleLeases", "MemberLease", "is_interchangeable", "without_times"]


class MemberLease:
    """What a holder has of one lease: it is what `Lease.account` refers to while that is out.

    Attributes:
        token, endpoint, slots: as they were granted.
        request: what it was granted for, then what it is used for.
        since_s: when it came, then when its lease began.
        lease_id: of its lease; 0: nobody uses it yet. Not the lease: one that nobody refers to is found by that.
    """

    __slots__ = ("endpoint", "lease_id", "request", "since_s", "slots", "token")

    def __init__(self, token: LeaseToken, endpoint: Endpoint, slots: int, request: Request, since_s: float) -> None:
        self.token = token
        self.endpoint = endpoint
        self.slots = slots
        self.request = request
        self.since_s = since_s
        self.lease_id = 0

    def told(self, now: float) -> ClaimedLease:
        """Return what an owner is told of it."""
        told = without_times(self.request)
        return ClaimedLease(self.token, self.endpoint.name, self.slots, told.terms, told.tokens, now - self.since_s)


class IdleLeases:
    """Leases that nobody uses yet, by what they were asked for; the oldest of a kind is first."""

    def __init__(self) -> None:
        self._by_request: dict[Request, deque[MemberLease]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_request)

    def __len__(self) -> int:
        return sum(map(len, self._by_request.values()))

    def put(self, hold: MemberLease) -> None:
        """Keep it for whoever asks for the same."""
        self._by_request.setdefault(hold.request, deque()).append(hold)

    def take(self, request: Request) -> MemberLease | None:
        """Return one for a caller who asks for this, if there is one."""
        holds = self._by_request.get(request)
        return holds.popleft() if holds else None

    def drop(self, hold: MemberLease) -> None:
        """Forget it: it is lost."""
        self._by_request[hold.request].remove(hold)

    def idle(self, now: float, idle_s: float) -> Iterator[MemberLease]:
        """Take out, one by one, those that nobody has used for so long."""
        for holds in self._by_request.values():
            while holds and now >= holds[0].since_s + idle_s:
                yield holds.popleft()

    def all(self) -> Iterator[MemberLease]:
        """Take out all, one by one."""
        for holds in self._by_request.values():
            while holds:
                yield holds.popleft()

    def due_s(self, idle_s: float) -> float:
        """Return when the first one is idle for so long; `inf`: there is none."""
        return min((holds[0].since_s + idle_s for holds in self._by_request.values() if holds), default=inf)


def is_interchangeable(request: Request) -> bool:
    """Return whether a lease for it may be kept for another caller who wants the same."""
    return request.key is None and request.tokens is None and request.terms is None


def without_times(request: Request) -> Request:
    """Return `request` as the owner is to hear it: how long a lease may last is kept here, by one clock."""
    if request.terms is None or not request.terms.timed:
        return request
    return replace(request, terms=replace(request.terms, ttl_s=inf, leak_after_s=inf))
