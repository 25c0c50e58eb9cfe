"""`p2c`: the power of two choices, the less loaded of two endpoints drawn at random.

Load metric: (in-flight + 1) / weight, the load *with* the new lease. Selection rule: the least load of `choices`
distinct endpoints that the request fits, each equally likely to be drawn. Of equal loads the one drawn first wins,
which may be any of them.

Two draws remove most of the queueing that one draw leaves (Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", IEEE TPDS 12(10), 2001; the rule of gRFC A48 and of Envoy). Those draw with replacement, so the most loaded
endpoint is chosen if it is drawn twice. Here it never is. Of three endpoints with 0, 0 and 10 in flight, Envoy gives
the last one ninth of the calls, and this rule none.
"""

import random

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.ranking import LeastLoaded
from balancer.strategy import Node, Strategy, StrategyOptions

__all__ = ["P2c"]


class P2c(LeastLoaded):
    """The least loaded of a few endpoints drawn at random."""

    name = "p2c"

    class Options(StrategyOptions):
        """How many endpoints are compared."""

        choices: int = Field(2, ge=1, description="how many endpoints are drawn; 1: any one, weights have no effect")

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng, options.choices)

    def load(self, node: Node, now: float) -> float:
        """Return (in-flight + 1) / weight."""
        return (node.in_flight + 1) / node.weight

    def change(self, node: Node, now: float) -> None:
        """O(1). Moves the node to the end of the list, so that a seed gives the same choices in each version."""
        self.leave(node, now)
        self.join(node, now)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [P2c]
