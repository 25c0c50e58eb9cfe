"""`weighted_least_request`: shares by weight, less for endpoints that have leases out.

Load metric: the weight that is left, weight / (in-flight + 1) ** `bias`. Selection rule: a draw with chances by that,
with every weight as it is at the pick. With `bias` 1, an idle endpoint is as likely as two endpoints of the same weight
with one lease out each. If calls do not overlap, shares are by weight in the long run.

The weight is Envoy's (`least_request` load balancer, `active_request_bias`). Envoy uses it for turns, earliest deadline
first, and reads in-flight only at an endpoint's turn, to set its next turn. If all weights are equal, Envoy compares
two endpoints drawn at random, with replacement.

`balancer.kit.strips` draws in O(1).
"""

import random

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.strips import ByWeight
from balancer.strategy import Node, Strategy, StrategyOptions

__all__ = ["WeightedLeastRequest"]


class WeightedLeastRequest(ByWeight):
    """A random endpoint with a free slot, with chances by weight / (in flight + 1) ** bias."""

    name = "weighted_least_request"

    class Options(StrategyOptions):
        """How much leases count."""

        bias: float = Field(
            1.0, ge=0, le=10, description="how much leases in flight count: 0 not at all, 1 in proportion"
        )

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng)
        self._bias = options.bias

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self.count(node, node.in_flight)

    def count(self, node: Node, in_flight: int) -> None:
        """Put the node in with the weight that so many leases leave it, or take it out; O(1)."""
        self.strips.settle(node, node.weight / (in_flight + 1) ** self._bias, in_flight)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedLeastRequest]
