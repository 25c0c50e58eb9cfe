"""`random`: a random endpoint with a free slot, with chances by weight.

Load metric: none. Selection rule: a weighted draw, independent of earlier ones. So many pools cannot fall into step,
but shares are right only in the long run.

`balancer.kit.strips` draws in O(1) for any weights.
"""

import random

from balancer.endpoint import Outcome
from balancer.hookspecs import hookimpl
from balancer.kit.places import NOWHERE
from balancer.kit.strips import Strip, Strips
from balancer.strategy import Node, Request, Strategy

__all__ = ["Random"]


class Random(Strategy):
    """A random endpoint with a free slot, with chances by weight."""

    name = "random"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._strips = Strips(rng)

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = Strip()
        self.change(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        self._strips.leave(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._strips.settle(node, node.weight, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected for an open request; O(log(most / least weight)) if weights differ."""
        node = self._strips.any_that_fits(request)
        if node is not None:
            slots = 1 if request.open else request.takes(node)
            if node.in_flight + slots >= node.limit:
                node.note.bucket.drop(node)
        return node

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1)."""
        if node.note.index == NOWHERE and node.in_flight < node.limit:
            node.note.bucket.put(node)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Random]
