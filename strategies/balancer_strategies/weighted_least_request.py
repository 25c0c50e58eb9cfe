"""`weighted_least_request`: shares by weight, less for the endpoints that have leases out.

Load metric: the weight that is left, weight / (in-flight + 1) ** `bias`. Selection rule: a draw with a chance by that,
with every weight as it is at the pick. So a new lease is as likely to go to an idle endpoint as to two of the same
weight with one lease out each (`bias` 1), and shares are by weight in the long run where calls do not overlap.

The weight is Envoy's (`least_request` load balancer, `active_request_bias`). Envoy goes round by it, earliest due
first, and looks at what is in flight only when an endpoint's turn has come, for the time of its next turn: so here with
`by` "turns". Where all weights are equal Envoy compares two endpoints drawn at random, as `p2c` does with
`replacement`.

How one is drawn in O(1): `balancer.kit.strips`; whose turn it is: `balancer.kit.deadlines`.
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
    """Any endpoint with a free slot, by weight / (in flight + 1) ** bias: with a chance by that, or in turns."""

    name = "weighted_least_request"

    class Options(StrategyOptions):
        """How much leases count, and how one is found."""

        bias: float = Field(1.0, ge=0, le=10, description="how much leases out count: 0 not at all, 1 in proportion")
        by: Literal["draw", "turns"] = Field(
            "draw", description="a draw by the weight that is left, or in turns, as Envoy"
        )

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
        """O(1); in turns O(log N), or O(due in the same tick) for a new weight, or where no slot is left."""
        if self._turns is None:
            self._settle(node, node.in_flight)
        else:
            self._turns.reweigh(node.note, node.weight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight left)) where they differ; in turns O(log N)."""
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
        elif not node.note.queued and node.in_flight < node.limit:
            self._turns.queue(node.note)

    def _settle(self, node: Node, in_flight: int) -> None:
        self._strips.settle(node, self._left(node, in_flight), in_flight)

    def _left(self, node: Node, in_flight: int) -> float:
        """Return the weight that is left."""
        left: float = node.weight / (in_flight + 1) ** self._bias  # a power of floats is typed as anything
        return left

    def _next(self, turns: Deadlines[Deadline], request: Request) -> Node | None:
        """Return the node whose turn it is; its next one is the later, the more is in flight before this lease."""
        deadline = turns.first(request)
        if deadline is None:
            return None
        node = deadline.node
        slots = request.takes(node)
        deadline.due += slots / bounded(self._left(node, node.in_flight))
        if node.in_flight + slots < node.limit:
            turns.queue(deadline)
        return node


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedLeastRequest]
