"""One endpoint's entry in the books.

Decides nothing: it is what the ledger, the rules and, as a `Node`, the strategy know of one endpoint.
"""

from enum import Enum

from balancer.core.limits import Aimd, HostGroup
from balancer.core.states import Health, Record
from balancer.endpoint import Endpoint
from balancer.strategy import Node

__all__ = ["Account", "State"]


class State(Enum):
    """Whether an endpoint takes new leases, and what happens to it afterwards."""

    ACTIVE = "active"
    DRAINING = "draining"  # no new leases; stays listed until it is added back or removed
    RETIRING = "retiring"  # no new leases; gone when the last one ends


class Account(Node):
    """One endpoint's entry. While it is not active its limit is 0, so nothing can be leased.

    Attributes:
        kept: True while its free slots are kept for one who waits for several.
        record, aimd, host: what the rules know of it; None where there is no such rule.
        health: how it stood when that was last told.
        alert: True if the rules must hear of every grant.
    """

    __slots__ = (
        "aimd",
        "alert",
        "busy_s",
        "failures",
        "health",
        "host",
        "kept",
        "leases",
        "out_s",
        "overloads",
        "record",
        "state",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.state = State.ACTIVE
        self.leases = 0
        self.failures = 0
        self.overloads = 0
        self.busy_s = 0.0  # slot-seconds of the leases that have ended
        # Sum of (end - start) of the times that it is in service and has no slots, by its health's doing; -start is
        # added when one begins, so `out_s + now` counts one that has not ended.
        self.out_s = 0.0
        self.kept = False
        self.alert = False
        self.record: Record | None = None
        self.health: Health | None = None
        self.aimd: Aimd | None = None
        self.host: HostGroup | None = None
