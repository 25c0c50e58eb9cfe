"""The account of an endpoint in the ledger: its slots, its counters, its membership."""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from balancer.core.limits import Aimd, HostGroup
from balancer.core.quotas import Meter
from balancer.core.states import Health, HealthRecord, MembershipState
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.strategy import Node, Request

__all__ = ["Account", "EndpointKind"]

_MOST_ERRORS: Final = 50


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
        kind: its kind while it is active; see `balancer.core.kinds`.
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
