"""Power of d choices: the least loaded of a few nodes drawn at random, for any load.

Decides which nodes are compared, and keeps the list of those that have a free slot. What load is, is one method of the
strategy that is made of this (the distributor and the load of Finagle's `P2CLeastLoaded`).

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
"""What nodes are compared by; all loads of one strategy are of one kind."""


class LeastLoaded(Strategy):
    """The least loaded of `choices` distinct nodes drawn at random, ties at random.

    Args:
        rng: what draws are made with.
        choices: how many nodes are compared.

    Class attributes:
        note: what `join` notes of a node: a `Place`, or a subclass with what the load needs to know besides.
    """

    note: ClassVar[type[Place]] = Place

    def __init__(self, rng: random.Random, choices: int) -> None:
        self._places = Places(rng)
        self._choices = choices

    @abstractmethod
    def load(self, node: Node, now: float) -> LoadMetric:
        """Return the load of a node that has a free slot; it is worked out anew for each comparison."""
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

        Every set of nodes is as likely to be drawn as any other. Of equal loads that of the one drawn first counts
        as less, which is any of them.
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
        """O(1). What learns from the end of a call does so, and then calls this."""
        if node.note.index == NOWHERE and node.in_flight < node.limit:
            self._places.put(node)
