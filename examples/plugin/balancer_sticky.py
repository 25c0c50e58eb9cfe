"""`sticky`: stay with one endpoint while it has a free slot, then go to the one used before it.

Load metric: none. Selection rule: the last one that answered, so that caches stay warm (compiled programs,
connections, prompts) and the others may idle or be switched off. An endpoint that keeps failing goes to the
back, behind all others. Weights are not looked at: capacity says how much an endpoint is given.
"""

import random
from collections import OrderedDict

from pydantic import Field

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Sticky"]


class Sticky(Strategy):
    """Stay with one endpoint while it has a free slot, then go to the one used before it."""

    name = "sticky"

    class Options(StrategyOptions):
        """When it leaves."""

        patience: int = Field(1, ge=1, description="failures in a row after which an endpoint goes to the back")

    def __init__(self, options: Options, rng: random.Random) -> None:
        self._patience = options.patience
        # The nodes with a free slot, the favourite last. `node.note` counts its failures in a row.
        self._stack: OrderedDict[Node, None] = OrderedDict()

    def join(self, node: Node, now: float) -> None:
        """Go to the back: a new endpoint is used once the others are full; O(1)."""
        node.note = 0
        if node.free:
            self._put(node, favourite=False)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._stack.pop(node, None)

    def change(self, node: Node, now: float) -> None:
        """Keep the place of a node that still has a free slot; O(1)."""
        if not node.free:
            self._stack.pop(node, None)
        elif node not in self._stack:
            self._put(node, favourite=False)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) for an open request, which the first node admits."""
        for node in reversed(self._stack):
            if request.fits(node):
                if node.free == request.takes(node):  # its last ones; the ledger counts the lease after this call
                    del self._stack[node]
                return node
        return None

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if outcome is Outcome.SUCCESS:
            node.note = 0
        elif outcome is not Outcome.IGNORED:
            node.note += 1
        if node.free:  # not if its capacity was cut meanwhile
            self._put(node, favourite=node.note < self._patience)

    def _put(self, node: Node, *, favourite: bool) -> None:
        self._stack[node] = None
        self._stack.move_to_end(node, last=favourite)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Sticky]
