"""Affinity: requests with a key go to a preferred node, the others to a random one, by weight.

A subclass chooses the node of a key, and may use the guard on load: no node gets more than `bound` times the mean of
the slots in use, by weight and rounded up, over the nodes that the request may use (Mirrokni, Thorup, Zadimoghaddam,
"Consistent Hashing with Bounded Loads", SODA 2018).

    class Mine(Affinity):
        name = "mine"

        def __init__(self, options, rng):
            super().__init__(rng)

        def preferred(self, request, key):
            return min((node for node in self.strips.nodes() if request.fits(node)), key=..., default=None)
"""

import random
from abc import abstractmethod
from math import ceil

from balancer.kit.strips import ByWeight
from balancer.strategy import Node, Request

__all__ = ["Affinity"]


class Affinity(ByWeight):
    """The node that `preferred` chooses for a request's key; without a key a random one, by weight.

    Args:
        rng: the random numbers for draws.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._nodes: dict[Node, None] = {}

    @abstractmethod
    def preferred(self, request: Request, key: str) -> Node | None:
        """Return the node of a key: one that `request` fits; None only if there is none."""
        ...

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        self._nodes[node] = None
        super().join(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        super().leave(node, now)
        self._nodes.pop(node, None)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(1) expected without a key; with one, what `preferred` costs."""
        if request.key is None:
            return super().pick(request, now)
        node = self.preferred(request, request.key)
        if node is not None:
            self.count(node, node.in_flight + request.takes(node))
        return node

    def within(self, request: Request, bound: float) -> list[Node]:
        """Return the nodes that `request` fits and that stay within `bound` times the mean load; O(N)."""
        in_flight, weight = request.slots, 0.0
        for node in self._nodes:
            if node.ceiling and (request.open or request.admits(node.endpoint)):
                in_flight += node.in_flight
                weight += node.weight
        fitting = [node for node in self.strips.nodes() if request.fits(node)]
        most = bound * in_flight / weight if weight else 0.0
        return [node for node in fitting if node.in_flight + request.takes(node) <= ceil(most * node.weight)]
