"""A member's leases: those in use, and idle ones of a block that nobody uses yet.

Decides which idle one is next, whose time is over, and what an end says. It must not know who asks, nor how words
travel.
"""

from collections import deque
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from itertools import count
from math import inf

from balancer.cluster.protocol.counters import MemberCounters
from balancer.cluster.protocol.messages import ClaimedLease, LeaseEnded, LeaseToken
from balancer.core.events import Ended, Expired, Granted, Journal, Leaked
from balancer.core.lease_timers import LeaseTimers
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import LeaseError
from balancer.strategy import Request

__all__ = ["IdleLeases", "LeaseTable", "MemberLease", "facts_of_lease", "is_interchangeable", "without_times"]

_IGNORED = Outcome.IGNORED


class MemberLease:
    """What a member has of one lease: it is what `Lease.account` refers to while that is out.

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

    def claim(self, now: float) -> ClaimedLease:
        """Return what a coordinator is told of it."""
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

    def put(self, held: MemberLease) -> None:
        """Keep it for whoever asks for the same."""
        self._by_request.setdefault(held.request, deque()).append(held)

    def take(self, request: Request) -> MemberLease | None:
        """Return one for a caller who asks for this, if there is one."""
        found = self._by_request.get(request)
        return found.popleft() if found else None

    def drop(self, held: MemberLease) -> None:
        """Forget it: it is lost."""
        self._by_request[held.request].remove(held)

    def take_unused(self, now: float, idle_s: float) -> Iterator[MemberLease]:
        """Take out, one by one, those that nobody has used for so long."""
        for found in self._by_request.values():
            while found and now >= found[0].since_s + idle_s:
                yield found.popleft()

    def due_s(self, idle_s: float) -> float:
        """Return when the first one is unused for so long; `inf`: there is none."""
        return min((found[0].since_s + idle_s for found in self._by_request.values() if found), default=inf)


class LeaseTable:
    """All leases of a member.

    Args:
        lender: who they go back to.
        say: tells the coordinator of an end.

    Attributes:
        out: the leases that are in use, by their own id.
        idle: those that are not used yet.
        journal: what happens to them.
        counters: what is counted of them.
    """

    def __init__(self, lender: Lender, say: Callable[[object], object]) -> None:
        self.out: dict[int, Lease] = {}
        self.idle = IdleLeases()
        self.journal = Journal()
        self.counters = MemberCounters()
        self._lender = lender
        self._say = say
        self._held: dict[LeaseToken, MemberLease] = {}
        self._terms = LeaseTimers()
        self._ids = count(1)

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, held: MemberLease) -> None:
        """Take in what was granted."""
        self._held[held.token] = held

    def claims(self, now: float) -> tuple[ClaimedLease, ...]:
        """Return what a coordinator is told of all."""
        return tuple(held.claim(now) for held in self._held.values())

    def lend(self, held: MemberLease, request: Request, now: float, waited_s: float = 0.0) -> Lease:
        """Make a lease of what was granted."""
        lease = Lease()
        lease.slots = held.slots
        lease.id = next(self._ids)
        lease.endpoint = held.endpoint
        lease.granted_s = held.since_s = now
        lease.account = held
        lease.lender = self._lender
        lease.outcome = lease.hint = None
        lease.request = request
        held.lease_id = lease.id
        held.request = request
        self.out[lease.id] = lease
        if request.terms is not None:
            self._terms.add(lease, now)
        self.counters.begun(lease, waited_s)
        self.journal.note(Granted, now, *facts_of_lease(lease), waited_s)
        return lease

    def token_of(self, lease: Lease) -> LeaseToken:
        """Return the token of a lease that is out. Raises LeaseError if it is not."""
        held: MemberLease | None = lease.account
        if held is None:
            raise LeaseError(lease.id, getattr(lease, "fate", f"{lease!r} was given back already; a lease ends once"))
        return held.token

    def check_ours(self, lease: Lease) -> None:
        """Raise LeaseError if the lease was granted elsewhere."""
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; return it there")

    def end(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """End a lease. Raises LeaseError if it is not out."""
        token = self.token_of(lease)
        del self._held[token]
        del self.out[lease.id]
        lease.account = None
        self.counters.ended(lease, outcome, now)
        used_s = now - lease.granted_s
        self.journal.note(Ended, now, *facts_of_lease(lease), outcome, used_s)
        self._say(LeaseEnded(token, outcome, used_s, lease.hint, getattr(lease, "raised", "")))

    def give_back(self, held: MemberLease) -> None:
        """End what nobody has used."""
        del self._held[held.token]
        self._say(LeaseEnded(held.token, _IGNORED, 0.0))

    def give_back_idle(self, now: float, idle_s: float = -inf) -> None:
        """End those that nobody has used for so long; all, unless it is said."""
        for held in self.idle.take_unused(now, idle_s):
            self.give_back(held)

    def end_by_terms(self, now: float) -> None:
        """End those whose own time is over, and note those that are out for suspiciously long."""
        for lease, is_over in self._terms.take_due(now):
            facts = facts_of_lease(lease)
            if is_over:
                self.journal.note(Expired, now, *facts, now - lease.granted_s)
                lease.fate = f"{lease!r} ran out: its ttl_s was over, so its slot went to others; return it sooner"
                self.end(lease, _IGNORED, now)
            else:
                self.journal.note(Leaked, now, *facts, getattr(lease, "where", ""), now - lease.granted_s)

    @property
    def terms_due_s(self) -> float:
        """When the time of the next one is over."""
        return self._terms.due_s

    def lose(self, why: str, *, but: Container[LeaseToken] = ()) -> None:
        """Forget all that were claimed `but` these. Nobody is told: the coordinator gives them to others."""
        for held in [held for held in self._held.values() if held.token not in but]:
            del self._held[held.token]
            if held.lease_id:
                lease = self.out.pop(held.lease_id)
                lease.fate = f"{lease!r} was lost: {why}"
                lease.account = None
            else:
                self.idle.drop(held)


def is_interchangeable(request: Request) -> bool:
    """Return whether a lease for it may be kept for another caller who wants the same."""
    return request.key is None and request.tokens is None and request.terms is None


def without_times(request: Request) -> Request:
    """Return `request` as the coordinator is to hear it: how long a lease may last is kept here, by one clock."""
    if request.terms is None or not request.terms.timed:
        return request
    return replace(request, terms=replace(request.terms, ttl_s=inf, leak_after_s=inf))


def facts_of_lease(lease: Lease) -> tuple[int, str, str, int]:
    """Return what every event of a lease says of it."""
    return lease.id, lease.endpoint.name, lease.holder, lease.slots
