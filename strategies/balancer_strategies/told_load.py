"""`told_load`: by the load that servers report, for endpoints that others use too.

Load metric: (in-flight + 1 + waiting) / weight / (1 - used). `waiting` is how many requests wait in the server, and
`used` its used part, by its last report (`balancer.answers`; `Lease.told` brings it here). So a server that is 80% used
counts five times as much as an idle one with as many leases. Leases in flight from here count at once, as a report is
out of date with the next lease. So not all calls between two reports go to the server that was idle. Selection rule:
the least of `choices` distinct endpoints drawn at random, ties at random.

A report older than `stale_s` does not count. Then the endpoint is compared by in-flight alone, like one that never
reports.
"""

import random

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Strategy, StrategyOptions

__all__ = ["ToldLoad"]

_MOST_USED = 0.95  # a server that reports 100% still works, and may be the only one with a free slot


class ToldLoad(LeastLoaded):
    """The least loaded of a few endpoints drawn at random, by the servers' reports and what is in flight."""

    name = "told_load"

    class Options(StrategyOptions):
        """How many endpoints are compared, and how long a report counts."""

        choices: int = Field(2, ge=1, description="how many endpoints are drawn")
        stale_s: float = Field(10.0, gt=0, description="a report counts for this many seconds")

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
