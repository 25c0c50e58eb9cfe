"""The account of an endpoint in the ledger: its slots, its counters, its membership."""

from collections import deque
from math import inf
from typing import Any, Final

from balancer.core.limits import Aimd, HostGroup
from balancer.core.quotas import Meter
from balancer.core.states import Health, HealthRecord, MembershipState
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.strategy import Node

__all__ = ["Account"]

_MOST_ERRORS: Final = 50


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
        holds, held_s: how long its leases were held; see `balancer.core.timing`. None: not counted.
        full_s: since when it has no free slot; inf: it has one. Kept only if there are several groups.
    """

    __slots__ = (
        "aimd",
        "alert",
        "busy_s",
        "ceiling",
        "ejections",
        "endpoint",
        "errors",
        "failures",
        "full_s",
        "health",
        "held_s",
        "holds",
        "host",
        "ignored",
        "in_flight",
        "kept",
        "leases",
        "limit",
        "meter",
        "node",
        "out_s",
        "overloads",
        "record",
        "shown",
        "spent",
        "state",
        "weight",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.in_flight = 0
        self.limit = self.ceiling = endpoint.capacity
        self.weight = endpoint.weight
        self.node = Node(endpoint)
        self.shown: dict[str, Any] = vars(self.node)
        self.state = MembershipState.GONE
        self.leases = 0
        self.failures = 0
        self.overloads = 0
        self.ignored = 0
        self.errors: deque[tuple[float, Outcome, str]] | None = None
        self.ejections = 0
        self.busy_s = 0.0  # slot-seconds of the leases that have ended
        # Total seconds in service without slots ejected, resting or spent. It adds the end of each such period
        # and subtracts its start, so `out_s + now` includes a period that has not ended.
        self.out_s = 0.0
        self.holds: list[int] | None = None
        self.held_s = 0.0
        self.kept = False
        self.alert = False
        self.spent = False
        self.meter: Meter | None = None
        self.full_s = inf
        self.record: HealthRecord | None = None
        self.health: Health | None = None
        self.aimd: Aimd | None = None
        self.host: HostGroup | None = None

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
