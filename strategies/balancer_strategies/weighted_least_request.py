"""`weighted_least_request`: shares by weight, less for the endpoints that have leases out.

Load metric: the weight that is left, weight / (in-flight + 1) ** `bias`. Selection rule: a draw with a chance by that,
with every weight as it is at the pick. So a new lease is as likely to go to an idle endpoint as to two of the same
weight with one lease out each (`bias` 1), and shares are by weight in the long run where calls do not overlap.

The weight is Envoy's (`least_request` load balancer, `active_request_bias`). Envoy goes round by it (EDF), and looks
at what is in flight only when an endpoint's turn has come; and where all weights are equal it compares two endpoints
drawn at random, as `p2c` does here whatever the weights.

How one is drawn in O(1): `balancer.kit.strips`.
"""

import random

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.strips import Strip, Strips
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["WeightedLeastRequest"]


class WeightedLeastRequest(Strategy):
    """Any endpoint with a free slot, with a chance by weight / (in flight + 1) ** bias."""

    name = "weighted_least_request"

    class Options(StrategyOptions):
        """How much leases count."""

        bias: float = Field(1.0, ge=0, le=10, description="how much leases out count: 0 not at all, 1 in proportion")

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._bias = options.bias
        self._strips = Strips(rng)

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = Strip()
        self._settle(node, node.in_flight)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._strips.leave(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._settle(node, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight left)) where they differ."""
        node = self._strips.any_that_fits(request)
        if node is not None:
            self._settle(node, node.in_flight + request.takes(node))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        self._settle(node, node.in_flight)

    def _settle(self, node: Node, in_flight: int) -> None:
        self._strips.settle(node, node.weight / (in_flight + 1) ** self._bias, in_flight)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedLeastRequest]
