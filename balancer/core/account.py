"""The account of an endpoint in the ledger: its slots, its counters, its membership, its limits. And the kinds.

Endpoints in service with the same labels, capacity and group are of one kind: the same requests may use them. It is
counted how the endpoints of each kind stand. So why a request got none of them is known without a look at each. If
there are groups or quotas, it is also kept which have a free slot, and since when the others have none.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from typing import Any, Final

from balancer.core.quotas import Meter
from balancer.core.states import Health, HealthRecord, MembershipState
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.settings.rules import LimitSettings
from balancer.strategy import Node, Request
from balancer.values.urls import identity_of

__all__ = ["OUT", "Account", "Aimd", "EndpointKind", "EndpointKinds", "HostGroup", "stands"]

_MOST_ERRORS: Final = 50
_BACKOFF = 0.5  # the part of a limit that an overload leaves
OUT = ("spent", "resting", "ejected")


class EndpointKind:
    """The endpoints of one kind.

    Attributes:
        labels, capacity, group: of each of them.
        members: how each of them stands: the key of `WHY_NOT_TAKEN` that holds while it has no free slot.
        counts: how many stand so.
        free: those that are fit and have a free slot. Kept only if there are groups or quotas, as is `full`.
        full: since when the other fit ones have none; the latest is last. One that came free in this change still
            counts, as it may be handed on.
    """

    def __init__(self, labels: frozenset[str], capacity: int, group: int) -> None:
        self.labels = labels
        self.capacity = capacity
        self.group = group
        self.members: dict[Account, str] = {}
        self.counts: Counter[str] = Counter()
        self.free: dict[Account, None] = {}
        self.full: OrderedDict[Account, float] = OrderedDict()  # a dict would rescan the deleted slots at its end

    def suits(self, request: Request) -> bool:
        """Return whether these endpoints have the labels and the slots that `request` asks for."""
        return request.slots <= self.capacity and request.labels <= self.labels

    def full_s(self, request: Request) -> float:
        """Return since when none of the fit ones that `request` admits has a free slot; O(those it does not admit).

        inf: one has; -inf: there is none.
        """
        for account in self.free:
            if account.fit and account not in self.full and request.admits(account.endpoint):
                return inf
        for account in reversed(self.full):
            if request.admits(account.endpoint):
                return self.full[account]
        return -inf


class Aimd:
    """Adaptive limit: additive increase, multiplicative decrease (Chiu, Jain, Computer Networks 17, 1989).

    The limit grows by one for each round of successes while it is fully used. It is halved when the
    endpoint is overloaded or a call times out. Latency does not count: most of it is the user's program.

    Attributes:
        limit: whole slots, >= 1.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._exact = float(settings.initial)
        self._cut_s = -inf
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


@dataclass(slots=True, eq=False, repr=False)
class Account:
    """The data of one endpoint. While it is not active its limit is 0, so nothing can be leased.

    Attributes:
        endpoint, in_flight, limit, ceiling, weight: as in `Node`. These are the ones that count.
        node: the endpoint as a strategy sees it.
        shown: the attribute dict of `node`, for writing.
        kept: True while its free slots are reserved for a waiter that needs several.
        record, aimd, host: its health, adaptive limit and host group. None if the pool has no such rule.
        health: its health when that was last reported; after it left, the one it left with.
        ejections: how often it was ejected.
        alert: True if the rules must see every grant.
        spent: True if its account has no quota left. It serves no request until it is added again.
        meter: the meter of its quota, or None.
        ignored: how many leases ended with the outcome IGNORED.
        errors: the last 50 failures and overloads: time, outcome, what the call raised ("": not known). None: no error.
        kind: its kind while it is active; see `EndpointKinds`.
    """

    endpoint: Endpoint
    in_flight: int = 0
    limit: int = 0
    ceiling: int = 0
    weight: float = field(init=False)
    node: Node = field(init=False)
    shown: dict[str, Any] = field(init=False)
    state: MembershipState = MembershipState.GONE
    leases: int = 0
    failures: int = 0
    overloads: int = 0
    ignored: int = 0
    errors: deque[tuple[float, Outcome, str]] | None = None
    ejections: int = 0
    busy_s: float = 0.0  # slot-seconds of the leases that have ended
    # Total seconds in service without slots: ejected, resting or spent. It adds the end of each such period and
    # subtracts its start, so `out_s + now` includes a period that has not ended.
    out_s: float = 0.0
    kept: bool = False
    alert: bool = False
    spent: bool = False
    meter: Meter | None = None
    kind: EndpointKind | None = None
    record: HealthRecord | None = None
    health: Health | None = None
    aimd: Aimd | None = None
    host: HostGroup | None = None

    def __post_init__(self) -> None:
        self.weight = self.endpoint.weight
        self.node = Node(self.endpoint)
        self.shown = vars(self.node)

    @property
    def fit(self) -> bool:
        """True if it is in service: neither out because of its health, nor half open."""
        return bool(self.ceiling) and (self.record is None or self.record.fit)

    def note_error(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Remember a failure or an overload."""
        if self.errors is None:
            self.errors = deque(maxlen=_MOST_ERRORS)
        self.errors.append((now, outcome, getattr(lease, "raised", "")))

    def show(self) -> None:
        """Copy its state to `node`, for the strategy."""
        self.shown.update(
            endpoint=self.endpoint,
            in_flight=self.in_flight,
            limit=self.limit,
            ceiling=self.ceiling,
            weight=self.weight,
        )

    def __repr__(self) -> str:
        return f"<Account {self.endpoint.name} {self.in_flight}/{self.limit}>"


class EndpointKinds:
    """The endpoints in service, by kind.

    Args:
        accounts: the accounts of the ledger, by identity.

    Attributes:
        meters: how many endpoints in service each quota has.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._kinds: dict[tuple[frozenset[str], int, int], EndpointKind] = {}
        self.meters: Counter[Meter] = Counter()
        self._watched = False
        self._freed: dict[Account, None] = {}  # in this change
        self._out: dict[Account, None] = {}
        self._names: frozenset[str] | None = frozenset()

    def __iter__(self) -> Iterator[EndpointKind]:
        return iter(self._kinds.values())

    def put(self, account: Account, now: float) -> None:
        """Count an account in service as it stands now; O(1). If its endpoint is another one, it was dropped before."""
        kind = account.kind
        if kind is None:
            key = account.endpoint.labels, account.endpoint.capacity, account.endpoint.group
            kind = account.kind = self._kinds.setdefault(key, EndpointKind(*key))
            if account.meter is not None:
                self.meters[account.meter] += 1
        if self._watched:
            self.settle(account, now)
        before, stand = kind.members.get(account), stands(account)
        if stand == before:
            return
        if before is not None:
            kind.counts[before] -= 1
        kind.members[account] = stand
        kind.counts[stand] += 1
        if (stand in OUT) is not (account in self._out):
            self._names = None
            if account in self._out:
                del self._out[account]
            else:
                self._out[account] = None

    def drop(self, account: Account) -> None:
        """Forget an account; O(1)."""
        kind, account.kind = account.kind, None
        if kind is not None:
            kind.counts[kind.members.pop(account)] -= 1
            kind.free.pop(account, None)
            kind.full.pop(account, None)
            if account.meter is not None:
                account.meter.free.pop(account, None)
                self.meters[account.meter] -= 1
                self.meters += Counter()  # without those that have none
            if not kind.members:
                del self._kinds[kind.labels, kind.capacity, kind.group]
            if account in self._out:
                del self._out[account]
                self._names = None

    def clear(self) -> None:
        """Forget all, after an interrupt."""
        for account in self._accounts.values():
            account.kind = None
            if account.meter is not None:
                account.meter.free.clear()
        self._kinds.clear()
        self.meters.clear()
        self._out.clear()
        self._names = None

    # -- for groups and quotas ---------------------------------------------------------------------

    def watch(self, wanted: bool, now: float) -> None:
        """Keep from now on, or no longer, which endpoints have a free slot; O(N) if that changes."""
        if wanted and not self._watched:
            for kind in self._kinds.values():
                kind.full.clear()  # as it was when it was watched last
            for account in chain.from_iterable(kind.members for kind in self._kinds.values()):
                self.settle(account, now)
        self._watched = wanted

    def settle(self, account: Account, now: float) -> None:
        """Note whether an account has a free slot; O(1). Needed after each change of what is in flight."""
        kind, meter = account.kind, account.meter
        if kind is None:
            return
        free = [kind.free] if meter is None else [kind.free, meter.free]
        fit = account.fit
        if account.in_flight < account.limit:
            for those in free:
                those[account] = None
            self._freed[account] = None
        else:
            for those in free:
                those.pop(account, None)
            if fit:
                kind.full.setdefault(account, now)
        if not fit:
            kind.full.pop(account, None)

    def observe(self) -> None:
        """End a change: what came free, and was not handed on, is full no more; O(those)."""
        for account in self._freed:
            if account.kind is not None and account in account.kind.free:
                account.kind.full.pop(account, None)
        self._freed.clear()

    # -- looking -----------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many endpoints are in service; O(kinds)."""
        return sum(len(kind.members) for kind in self._kinds.values())

    @property
    def slots(self) -> int:
        """How many slots they have, by their capacity; O(kinds)."""
        return sum(kind.capacity * len(kind.members) for kind in self._kinds.values())

    @property
    def out(self) -> int:
        """How many endpoints are out of service for now: ejected, resting or spent."""
        return len(self._out)

    def out_of_service(self) -> frozenset[str]:
        """Return their names; O(1), or O(those) after a change."""
        if self._names is None:
            self._names = frozenset(account.endpoint.name for account in self._out)
        return self._names

    def suited(self, request: Request) -> list[Iterable[Account]]:
        """Return the endpoints that have what `request` asks for, free or not, in parts; O(kinds)."""
        if request.only is None:
            return [kind.members for kind in self._kinds.values() if kind.suits(request)]
        account = self._accounts.get(identity_of(request.only))
        return [] if account is None or account.kind is None else [(account,)]

    def why_not_taken(self, request: Request, hides: Callable[[Account], str] | None) -> dict[str, int]:
        """Return why no endpoint was leased for `request`: how many, by reason.

        The reasons are those of `WHY_NOT_TAKEN`, the most frequent first.

        Args:
            request: what was asked for.
            hides: see `AdmissionFilters.hides`; then this costs O(N). None: no slot is free; then it costs O(kinds).
        """
        found: Counter[str] = Counter()
        if hides is None and request.only is None:
            for kind in self._kinds.values():
                if kind.suits(request):
                    found.update(kind.counts)
            for account in filter(None, map(self._accounts.get, request.barred)):
                if account.kind is not None and account.kind.suits(request):
                    found[account.kind.members[account]] -= 1
        else:
            for account in chain.from_iterable(self.suited(request)):
                if request.admits(account.endpoint):
                    free = hides is not None and request.fits(account)
                    found[(hides(account) or "passed over") if hides and free else stands(account)] += 1
        found["unsuited"] = self.size - found.total()
        return {why: many for why, many in sorted(found.items(), key=lambda each: (-each[1], each[0])) if many}


def stands(account: Account) -> str:
    """Return why an account in service would not be leased now, if no slot of it is free."""
    record = account.record
    if not account.ceiling:
        return "spent" if account.spent else "resting" if record and record.state is Health.RESTING else "ejected"
    if account.kept:
        return "reserved"
    if record and record.half_open:
        return "on trial"
    return "limited" if account.limit < account.endpoint.capacity else "full"
