"""`round_robin`: the endpoints in turn.

Load metric: none. Selection rule: the next endpoint with a free slot after the one that had the last turn, in the order
of joining and then from the front (Nagle, "On Packet Switches With Infinite Storage", RFC 970, 1985, for queues). A
full endpoint misses its turn, and does not get it back. An endpoint that a request does not fit is skipped, and is next
as soon as a request fits it.
"""

import random

from balancer.hookspecs import hookimpl
from balancer.kit.turns import InTurn, Turn
from balancer.strategy import Node, Request, Strategy

__all__ = ["RoundRobin"]


class RoundRobin(InTurn):
    """The endpoints in turn, regardless of weights."""

    name = "round_robin"

    def __init__(self, options: object, rng: random.Random) -> None:
        super().__init__()
        self._last = (0, 0)  # round and number of the latest turn

    def round_of(self, turn: Turn) -> int:
        """Return this round if its number is still to come, else the next one."""
        round_, number = self._last
        return round_ if turn.number > number else round_ + 1

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N), amortised, for an open request."""
        turn = self.first(request)
        if turn is None or turn.entry is None:
            return None
        this = turn.entry[:2]
        if this > self._last:
            self._last = this
        node = turn.node
        turn.entry = None
        if node.in_flight + request.takes(node) < node.limit:
            self.queue(turn)
        return node


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [RoundRobin]
