"""`weighted_least_request`: shares by weight, less for endpoints that have leases out.

Load metric: the weight that is left, weight / (in-flight + 1) ** `bias`. Selection rule: a draw with chances by that,
with every weight as it is at the pick. With `bias` 1, an idle endpoint is as likely as two endpoints of the same weight
with one lease out each. If calls do not overlap, shares are by weight in the long run.

The weight is Envoy's (`least_request` load balancer, `active_request_bias`). Envoy uses it for turns, earliest deadline
first, and reads in-flight only at an endpoint's turn, to set its next turn. Here that is `by` "turns". If all weights
are equal, Envoy compares two endpoints drawn at random, with replacement.

`balancer.kit.strips` draws in O(1); `balancer.kit.deadlines` has the turns.
"""

import random
from typing import Literal

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.deadlines import Deadline, Deadlines, bounded
from balancer.kit.strips import Strip, Strips
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["WeightedLeastRequest"]


class WeightedLeastRequest(Strategy):
    """An endpoint with a free slot, by weight / (in flight + 1) ** bias: at random with such chances, or in turns."""

    name = "weighted_least_request"

    class Options(StrategyOptions):
        """How much leases count, and how an endpoint is found."""

        bias: float = Field(
            1.0, ge=0, le=10, description="how much leases in flight count: 0 not at all, 1 in proportion"
        )
        by: Literal["draw", "turns"] = Field("draw", description="random by remaining weight, or in turns as in Envoy")

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._bias = options.bias
        self._random = rng.random
        self._strips = Strips(rng)
        self._turns = Deadlines[Deadline]() if options.by == "turns" else None

    def join(self, node: Node, now: float) -> None:
        """O(1); in turns O(log N)."""
        if self._turns is None:
            node.note = Strip()
            self._settle(node, node.in_flight)
        else:
            node.note = Deadline(node, node.weight)
            self._turns.start(node.note, self._random())

    def leave(self, node: Node, now: float) -> None:
        """O(1); in turns O(due in the same tick)."""
        if self._turns is None:
            self._strips.leave(node)
        else:
            self._turns.drop(node.note)

    def change(self, node: Node, now: float) -> None:
        """O(1); in turns O(log N), or O(due in the same tick) for a new weight, or if no slot is left."""
        if self._turns is None:
            self._settle(node, node.in_flight)
        else:
            self._turns.reweigh(node.note, node.weight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight left)) if they differ; in turns O(log N)."""
        if self._turns is not None:
            return self._next(self._turns, request)
        node = self._strips.any_that_fits(request)
        if node is not None:
            self._settle(node, node.in_flight + request.takes(node))
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1); in turns O(log N)."""
        if self._turns is None:
            self._settle(node, node.in_flight)
        else:
            self._turns.settle(node.note)

    def _settle(self, node: Node, in_flight: int) -> None:
        self._strips.settle(node, self._left(node, in_flight), in_flight)

    def _left(self, node: Node, in_flight: int) -> float:
        left: float = node.weight / (in_flight + 1) ** self._bias  # mypy types a power of floats as Any
        return left

    def _next(self, turns: Deadlines[Deadline], request: Request) -> Node | None:
        """Return the node whose turn it is. The more it had in flight before this lease, the later its next turn."""
        deadline = turns.first(request)
        if deadline is None:
            return None
        node = deadline.node
        turns.count(deadline, request.takes(node), bounded(self._left(node, node.in_flight)))
        return node


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedLeastRequest]
