"""`weighted_round_robin`: the endpoints in turn, those of more weight more often.

Load metric: the virtual deadline of an endpoint. It moves on by 1 / weight with every leased slot. It starts at a
random point of the first period, so that many pools do not run in step. Selection rule: earliest deadline first (EDF),
as in Envoy and gRPC (gRFC A58); see `balancer.kit.deadlines`. Weights of 2:1 give shares of 2:1 in every short window,
without rounds that serve one endpoint twice in a row.
"""

import random

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.deadlines import Deadline, Deadlines
from balancer.strategy import Node, Request, Strategy

__all__ = ["WeightedRoundRobin"]


class WeightedRoundRobin(Strategy):
    """The endpoints in turn, by weight, smooth in short windows."""

    name = "weighted_round_robin"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._random = rng.random
        self._deadlines = Deadlines[Deadline]()

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        node.note = Deadline(node, node.weight)
        self._deadlines.start(node.note, self._random())

    def leave(self, node: Node, now: float) -> None:
        """O(due in the same tick)."""
        self._deadlines.drop(node.note)

    def change(self, node: Node, now: float) -> None:
        """O(log N); O(due in the same tick) for a new weight, or if no slot is left."""
        self._deadlines.reweigh(node.note, node.weight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N) for an open request."""
        deadline = self._deadlines.first(request)
        if deadline is None:
            return None
        self._deadlines.count(deadline, request.takes(deadline.node), deadline.weight)
        return deadline.node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(log N)."""
        self._deadlines.settle(node.note)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [WeightedRoundRobin]
