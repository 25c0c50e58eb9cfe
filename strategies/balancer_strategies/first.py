"""`first`: fill the endpoints in the order of joining.

Load metric: the order of joining. Selection rule: the first of those with a free slot, so that none is used
before those ahead of it are full: packing, as by `balance first` of HAProxy. The last ones stay idle, and may be
switched off. An endpoint that is added back after a drain joins as the last.
"""

import random

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.turns import Turns
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["First"]

_ROUND = 0  # the only one


class First(Strategy):
    """The endpoint that joined first of those with a free slot: one is filled before the next is used."""

    name = "first"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._turns = Turns()

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        self._turns.number(node)
        self.change(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note.entry = None

    def change(self, node: Node, now: float) -> None:
        """O(log N)."""
        if node.in_flight >= node.limit:
            node.note.entry = None
        elif node.note.entry is None:
            self._turns.queue(node.note, _ROUND)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(log N), amortised, for an open request."""
        turn = self._turns.first(request)
        if turn is None:
            return None
        node = turn.node
        if node.in_flight + request.takes(node) >= node.limit:
            turn.entry = None
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(log N)."""
        if node.note.entry is None and node.in_flight < node.limit:
            self._turns.queue(node.note, _ROUND)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [First]
