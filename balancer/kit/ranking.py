"""Power of d choices: the least loaded of a few nodes drawn at random, for any load.

A subclass defines the load in one method (as the distributor and the load of Finagle's `P2CLeastLoaded`).

    class Mine(LeastLoaded):
        name = "mine"

        def __init__(self, options, rng):
            super().__init__(rng, choices=2)

        def load(self, node, now):
            return (node.in_flight + 1) / node.weight
"""

import random
from abc import abstractmethod
from typing import ClassVar

from balancer.endpoint import Outcome
from balancer.kit.places import NOWHERE, Place, Places
from balancer.strategy import Node, Request, Strategy

__all__ = ["LeastLoaded", "LoadMetric"]

LoadMetric = float | tuple[int, float]
"""The type of loads; all loads of one strategy have the same type."""


class LeastLoaded(Strategy):
    """The least loaded of `choices` distinct nodes drawn at random, ties at random.

    Args:
        rng: the random numbers for draws.
        choices: how many nodes are compared.

    Class attributes:
        note: the class of a node's note: `Place`, or a subclass with further data for the load.
    """

    note: ClassVar[type[Place]] = Place

    def __init__(self, rng: random.Random, choices: int) -> None:
        self._places = Places(rng)
        self._choices = choices

    @abstractmethod
    def load(self, node: Node, now: float) -> LoadMetric:
        """Return the load of a node that has a free slot. It is computed anew for each comparison."""
        ...

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note = self.note()
        self._places.settle(node, node.in_flight)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        if node.note.index != NOWHERE:
            self._places.drop(node)

    def change(self, node: Node, now: float) -> None:
        """O(1)."""
        self._places.settle(node, node.in_flight)

    def pick(self, request: Request, now: float) -> Node | None:
        """O(choices) for an open request.

        Every set of nodes is equally likely. Of equal loads, the node drawn first wins, which may be any of them.
        """
        places, is_open, load_of, left = self._places, request.open, self.load, self._choices
        best, least = None, None
        for position in range(len(places.nodes)):
            node = places.draw(position)
            if is_open or request.fits(node):
                load = load_of(node, now)
                if least is None or load < least:  # type: ignore[operator]  # all loads are of one kind
                    best, least = node, load
                left -= 1
                if not left:
                    break
        if best is not None and best.in_flight + (1 if is_open else request.takes(best)) >= best.limit:
            places.drop(best)
        return best

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(1). A subclass that learns from ended calls does so, and then calls this."""
        if node.note.index == NOWHERE and node.in_flight < node.limit:
            self._places.put(node)
