"""`first`: fill the endpoints in the order of joining.

Load metric: the order of joining. Selection rule: the first endpoint with a free slot, so that none is used before
those ahead of it are full: packing, as by `balance first` of HAProxy. The last ones stay idle, and may be switched off.
An endpoint that is added back after a drain is the last.
"""

import random

from balancer.hookspecs import hookimpl
from balancer.kit.turns import InTurn, Turn
from balancer.strategy import Node, Request, Strategy

__all__ = ["First"]


class First(InTurn):
    """The endpoint that joined first of those with a free slot: one is filled before the next is used."""

    name = "first"

    def __init__(self, options: object, rng: random.Random) -> None:
        super().__init__()

    def round_of(self, turn: Turn) -> int:
        """Return the only round: the order is that of joining."""
        return 0

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N), amortised, for an open request."""
        turn = self.first(request)
        if turn is None:
            return None
        node = turn.node
        if node.in_flight + request.takes(node) >= node.limit:
            turn.entry = None
        return node


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [First]
