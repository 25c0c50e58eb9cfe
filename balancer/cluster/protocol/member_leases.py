"""A member's leases: those in use, and idle ones of a block; its counters; and the callers that wait for a lease.

The counters are for `Pool.stats`. The coordinator's core counts for all processes together. Waiting callers have a
number under which the coordinator knows them.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from dataclasses import replace
from itertools import count
from math import inf

from balancer.cluster.protocol.messages import ClaimedLease, LeaseEnded, LeaseRequested, LeaseToken
from balancer.core.account import Account
from balancer.core.events import Ended, Expired, Granted, Journal, Leaked
from balancer.core.lease_timers import LeaseTimers
from balancer.core.metrics import EndpointStats, WaitHistogram
from balancer.core.readings import stats_of
from balancer.core.states import MembershipState
from balancer.core.waiters import Waiter, WaitQueue
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import LeaseError
from balancer.strategy import Request

__all__ = [
    "CallerQueue",
    "IdleLeases",
    "LeaseTable",
    "MemberCounters",
    "MemberLease",
    "facts_of_lease",
    "is_interchangeable",
    "without_times",
]

_IGNORED = Outcome.IGNORED


class MemberLease:
    """A member's data of one lease. `Lease.account` refers to it while the lease is out.

    Attributes:
        token, endpoint, slots: as granted.
        request: the request that it was granted for; then the request that uses it.
        since_s: when it arrived; then when its lease began.
        lease_id: the id of its lease; 0: it is idle. It does not refer to the lease, so that an abandoned lease is
            found.
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
        """Return what to report of it to a coordinator."""
        told = without_times(self.request)
        return ClaimedLease(self.token, self.endpoint.name, self.slots, told.terms, told.tokens, now - self.since_s)


class IdleLeases:
    """Idle leases, by the request that they were granted for; the oldest of a kind is first."""

    def __init__(self) -> None:
        self._by_request: dict[Request, deque[MemberLease]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_request)

    def __len__(self) -> int:
        return sum(map(len, self._by_request.values()))

    def put(self, held: MemberLease) -> None:
        """Keep it for an equal request."""
        self._by_request.setdefault(held.request, deque()).append(held)

    def take(self, request: Request) -> MemberLease | None:
        """Return an idle lease for this request, or None."""
        found = self._by_request.get(request)
        return found.popleft() if found else None

    def __contains__(self, held: MemberLease) -> bool:
        return held in self._by_request.get(held.request, ())

    def drop(self, held: MemberLease) -> None:
        """Forget it: it is lost."""
        self._by_request[held.request].remove(held)

    def take_unused(self, now: float, idle_s: float) -> Iterator[MemberLease]:
        """Remove and yield those that were idle for `idle_s` seconds."""
        for found in self._by_request.values():
            while found and now >= found[0].since_s + idle_s:
                yield found.popleft()

    def due_s(self, idle_s: float) -> float:
        """Return when the first one will have been idle for `idle_s`; inf: there is none."""
        return min((found[0].since_s + idle_s for found in self._by_request.values() if found), default=inf)


class LeaseTable:
    """All leases of a member.

    Args:
        lender: takes them back.
        blank: makes a blank lease.
        say: reports an end to the coordinator.

    Attributes:
        out: the leases in use, by their own id.
        idle: the idle ones.
        journal: records their events.
        counters: counts them.
    """

    def __init__(self, lender: Lender, blank: Callable[[], Lease], say: Callable[[object], object]) -> None:
        self.out: dict[int, Lease] = {}
        self.idle = IdleLeases()
        self.journal = Journal()
        self.counters = MemberCounters()
        self._lender = lender
        self._blank = blank
        self._say = say
        self._held: dict[LeaseToken, MemberLease] = {}
        self._terms = LeaseTimers()
        self._ids = count(1)

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, held: MemberLease) -> None:
        """Add a granted lease."""
        self._held[held.token] = held

    def claims(self, now: float) -> tuple[ClaimedLease, ...]:
        """Return what to report of all of them to a coordinator."""
        return tuple(held.claim(now) for held in self._held.values())

    def lend(self, held: MemberLease, request: Request, now: float, waited_s: float = 0.0) -> Lease:
        """Make a lease for a caller."""
        lease = self._blank()
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
        self.counters.begun(lease, waited_s)
        self.out[lease.id] = lease
        if request.terms is not None:
            self._terms.add(lease, now)
        self.journal.note(Granted, now, *facts_of_lease(lease), waited_s)
        return lease

    def token_of(self, lease: Lease) -> LeaseToken:
        """Return the token of a lease that is out. Raises LeaseError if it is not."""
        held: MemberLease | None = lease.account
        if held is None:
            raise LeaseError(lease.id, getattr(lease, "fate", f"{lease!r} was already released; a lease ends once"))
        return held.token

    def check_ours(self, lease: Lease) -> None:
        """Raise LeaseError if the lease was granted elsewhere."""
        if lease.lender is not self._lender:
            raise LeaseError(lease.id, f"{lease!r} was granted by another pool; release it there")

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
        """End an idle lease."""
        del self._held[held.token]
        self._say(LeaseEnded(held.token, _IGNORED, 0.0))

    def give_back_idle(self, now: float, idle_s: float = -inf) -> None:
        """End the leases that were idle for `idle_s` seconds; by default all idle ones."""
        for held in self.idle.take_unused(now, idle_s):
            self.give_back(held)

    def end_by_terms(self, now: float) -> None:
        """End the leases whose `ttl_s` has passed, and record those that are out for longer than `leak_after_s`."""
        for lease, is_over in self._terms.take_due(now):
            facts = facts_of_lease(lease)
            if is_over:
                self.journal.note(Expired, now, *facts, now - lease.granted_s)
                whose = f"the lease of {lease.endpoint.name}"
                lease.fate = f"{whose} expired after its ttl_s, so its slot went to others; release it sooner"
                self.end(lease, _IGNORED, now)
            else:
                self.journal.note(Leaked, now, *facts, getattr(lease, "where", ""), now - lease.granted_s)

    def mend(self) -> None:
        """Forget what no caller has and what is not idle, after a call that was cut short."""
        used = {held.token for lease in self.out.values() if (held := lease.account) is not None}
        self._held = {token: held for token, held in self._held.items() if token in used or held in self.idle}

    @property
    def has_times(self) -> bool:
        """True if some lease ends, or goes back, at a time of its own."""
        return bool(self.idle) or self.terms_due_s < inf

    @property
    def terms_due_s(self) -> float:
        """When the next time limit of a lease passes."""
        return self._terms.due_s

    def lose(self, why: str, *, but: Container[LeaseToken] = ()) -> None:
        """Forget all claimed leases `but` these. Nothing is sent: the coordinator has given them to others."""
        for held in [held for held in self._held.values() if held.token not in but]:
            del self._held[held.token]
            if held.lease_id:
                lease = self.out.pop(held.lease_id)
                lease.fate = f"the lease of {lease.endpoint.name} was lost: {why}"
                lease.account = None
                self.counters.lost(lease)
            else:
                self.idle.drop(held)


def is_interchangeable(request: Request) -> bool:
    """Return whether a lease for this request may be kept for another caller with an equal one."""
    return request.key is None and request.tokens is None and request.terms is None


def without_times(request: Request) -> Request:
    """Return `request` for the coordinator, without `ttl_s`: the time limit is kept here, by one clock."""
    if request.terms is None or not request.terms.timed:
        return request
    return replace(request, terms=replace(request.terms, ttl_s=inf, leak_after_s=inf))


def facts_of_lease(lease: Lease) -> tuple[int, str, str, int]:
    """Return what every event of a lease has."""
    return lease.id, lease.endpoint.name, lease.holder, lease.slots


class MemberCounters:
    """Counters of one process.

    Attributes:
        counts: figures of `PoolStats` by name, those that are only counted.
        waits: how long callers waited that had to wait.
    """

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.waits = WaitHistogram()
        self._accounts: dict[str, Account] = {}

    def begun(self, lease: Lease, waited_s: float) -> None:
        """Count a grant."""
        self.counts["acquired"] += 1
        self.waits.add(waited_s)
        self._account(lease.endpoint).leases += 1

    def ended(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Count an end."""
        account = self._account(lease.endpoint)
        account.busy_s += (now - lease.granted_s) * lease.slots
        account.ignored += outcome is Outcome.IGNORED
        account.failures += outcome is Outcome.FAILURE
        account.overloads += outcome is Outcome.OVERLOAD

    def lost(self, lease: Lease) -> None:
        """Count a lease that the coordinator has ended, as ignored."""
        self._account(lease.endpoint).ignored += 1

    def totals(self, *, out: int, waiting: int) -> dict[str, int]:
        """Return the figures of `PoolStats`, by name."""
        accounts = self._accounts.values()
        return {
            **self.counts,
            "waiting": waiting,
            "calls": self.counts["acquired"] - out - sum(each.ignored for each in accounts),
            "failures": sum(each.failures for each in accounts),
            "overloads": sum(each.overloads for each in accounts),
        }

    def rows(
        self, endpoints: Collection[Endpoint], out: Iterable[Lease], out_of_service: frozenset[str], now: float
    ) -> list[EndpointStats]:
        """Return a row for each endpoint, with the counts of this process."""
        accounts = {endpoint.name: self._account(endpoint) for endpoint in endpoints}
        for endpoint in endpoints:
            account = accounts[endpoint.name]
            account.endpoint, account.ceiling, account.in_flight = endpoint, endpoint.capacity, 0
            account.limit = 0 if endpoint.name in out_of_service else endpoint.capacity
        held = [(accounts[name], lease) for lease in out if (name := lease.endpoint.name) in accounts]
        for account, lease in held:
            account.in_flight += lease.slots
        return stats_of(list(accounts.values()), held, now)

    def _account(self, endpoint: Endpoint) -> Account:
        account = self._accounts.get(endpoint.name)
        if account is None:
            account = self._accounts[endpoint.name] = Account(endpoint)
            account.state = MembershipState.ACTIVE
        return account


class CallerQueue:
    """The waiting callers, by number. A number is used once, and is kept from session to session."""

    def __init__(self) -> None:
        self._waiters = WaitQueue()
        self._by_number: dict[int, tuple[Waiter, int]] = {}  # with its priority
        self._numbers: dict[Waiter, int] = {}
        self._fresh = count(1)

    def __len__(self) -> int:
        return self._waiters.size

    def __iter__(self) -> Iterator[int]:
        """Iterate over the numbers that the coordinator must answer."""
        return iter(self._by_number)

    def push(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> tuple[Waiter, int]:
        """Queue a caller. Return its waiter and its number."""
        waiter = self._waiters.push(request, now, deadline_s, priority, wake)
        number = next(self._fresh)
        self._by_number[number] = waiter, priority
        self._numbers[waiter] = number
        return waiter, number

    def of(self, number: int) -> Waiter | None:
        """Return the waiter with this number, or None if it has ended."""
        waiter, _ = self._by_number.get(number, (None, 0))
        return waiter

    def amend(self, waiter: Waiter, request: Request) -> int:
        """Change the request of `waiter`. Return its number."""
        self._waiters.amend(waiter, request)
        return self._numbers[waiter]

    def dismiss(self, waiter: Waiter) -> int:
        """Remove a waiter that has ended. Return its number."""
        number = self._numbers.pop(waiter)
        self._by_number.pop(number, None)
        self._waiters.discard(waiter)
        return number

    def keep(self, waiting: Container[Waiter]) -> None:
        """Keep only the waiters in `waiting` that have not ended, and repair the queue after an interrupt."""
        self._by_number = {
            number: (waiter, priority)
            for number, (waiter, priority) in self._by_number.items()
            if waiter in waiting and not waiter.ended
        }
        self._numbers = {waiter: number for number, (waiter, _) in self._by_number.items()}
        self._waiters.mend(self._numbers)

    def all(self) -> list[Waiter]:
        return list(self._waiters)

    def candidates(self, now: float) -> Iterator[Waiter]:
        """Yield the next waiters, one of each kind, as `WaitQueue.candidates` does."""
        return iter(self._waiters.candidates(now))

    def request(self, number: int, block: int, now: float) -> LeaseRequested:
        """Return the request to the coordinator for this number, with the time left; for a block if possible."""
        waiter, priority = self._by_number[number]
        request = waiter.request
        left_s, waited_s = max(0.0, waiter.deadline_s - now), now - waiter.since_s
        return LeaseRequested(
            number, without_times(request), priority, left_s, waited_s, block if is_interchangeable(request) else 1
        )
