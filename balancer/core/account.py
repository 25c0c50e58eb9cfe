"""An endpoint's account in the ledger: its slots, its counters, its membership.

Decides nothing: it is what the ledger and the rules know of one endpoint, and what of that a strategy is shown.
"""

from math import inf
from typing import Any

from balancer.core.limits import Aimd, HostGroup
from balancer.core.quotas import Meter
from balancer.core.states import Health, HealthRecord, MembershipState
from balancer.endpoint import Endpoint
from balancer.strategy import Node

__all__ = ["Account"]


class Account:
    """One endpoint's entry. While it is not active its limit is 0, so nothing can be leased.

    Attributes:
        endpoint, in_flight, limit, ceiling, weight: as `Node` has them; these count.
        node: what a strategy sees.
        shown: the attributes of `node`, to be written to.
        kept: True while its free slots are kept for one who waits for several.
        record, aimd, host: what the rules know of it; None where there is no such rule.
        health: how it stood when that was last told.
        alert: True if the rules must hear of every grant.
        spent: True: whoever pays for it has nothing left, so it serves nobody until it is added again.
        meter: of its quota; None: it has none.
        ignored: leases that ended so.
        holds, held_s: how long its leases were held; see `balancer.core.timing`. None: nobody asks.
        full_s: since when it has no free slot; inf: it has one. Kept only where there are several groups.
    """

    __slots__ = (
        "aimd",
        "alert",
        "busy_s",
        "ceiling",
        "endpoint",
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
        self.busy_s = 0.0  # slot-seconds of the leases that have ended
        # Sum of (end - start) of the times that it is in service and has no slots, by its health's doing; -start is
        # added when one begins, so `out_s + now` counts one that has not ended.
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
        """True if it serves as it should: it is neither out of service for its health, nor on trial."""
        return bool(self.ceiling) and (self.record is None or self.record.fit)

    def show(self) -> None:
        """Let the strategy see how it stands now."""
        self.shown.update(
            endpoint=self.endpoint,
            in_flight=self.in_flight,
            limit=self.limit,
            ceiling=self.ceiling,
            weight=self.weight,
        )

    def __repr__(self) -> str:
        return f"<Account {self.endpoint.name} {self.in_flight}/{self.limit}>"
