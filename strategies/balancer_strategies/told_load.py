"""`told_load`: by what the servers say of their own load, for endpoints that others use as well.

Load metric: (in-flight + 1 + waiting) / weight / (1 - used), where `waiting` is how many requests wait in the server,
and `used` the part of it that is in use, by its last report (`balancer.load`; `Lease.told` brings it here). So a server
that is 80% used counts five times as much as an idle one with as many leases. What is in flight from here counts at
once, for a report is out of date with the next lease: between two reports not everybody goes to the one that was idle.
Selection rule: the least of `choices` distinct endpoints drawn at random, ties at random.

A report that is older than `stale_s` counts no more, and the endpoint is compared by what is in flight alone, as one
that never reports is.
"""

import random

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Strategy, StrategyOptions

__all__ = ["ToldLoad"]

_MOST_USED = 0.95  # a server that says 100% still works, and may be the only one with a free slot


class ToldLoad(LeastLoaded):
    """The least loaded of a few endpoints drawn at random, by what the servers say and what is in flight."""

    name = "told_load"

    class Options(StrategyOptions):
        """How many are compared, and how long a report counts."""

        choices: int = Field(2, ge=1, description="how many endpoints are drawn")
        stale_s: float = Field(10.0, gt=0, description="after so many seconds a report counts no more")

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)
        self._stale_s = options.stale_s

    def load(self, node: Node, now: float) -> float:
        """Return (in-flight + 1 + waiting) / weight / (1 - used)."""
        told = node.load
        if told is None or now - node.load_s > self._stale_s:
            return (node.in_flight + 1) / node.weight
        used = min(max(told.used or 0.0, 0.0), _MOST_USED)
        waiting = max(told.waiting or 0.0, 0.0)
        return (node.in_flight + 1 + waiting) / node.weight / (1.0 - used)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [ToldLoad]
