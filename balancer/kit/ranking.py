"""The best of a few nodes drawn at random: the selection rule of the power of d choices.

Decides which nodes are compared. It must not know what load is.
"""

import random
from collections.abc import Callable
from typing import Generic, TypeVar

from balancer.kit.places import NOWHERE, Places
from balancer.strategy import Node, Request

__all__ = ["LeastOfDraws"]

Load = TypeVar("Load", float, tuple[int, float])


class LeastOfDraws(Generic[Load]):
    """The nodes with a free slot, and the least loaded of a few. The note of every node is a `Place`.

    Args:
        rng: what draws are made with.
        choices: how many distinct nodes are compared.
        load: of a node, at an instant; worked out anew for each comparison.
    """

    __slots__ = ("_choices", "_load", "_places")

    def __init__(self, rng: random.Random, choices: int, load: Callable[[Node, float], Load]) -> None:
        self._places = Places(rng)
        self._choices = choices
        self._load: Callable[[Node, float], Load] = load

    def settle(self, node: Node) -> None:
        """Let `node` be drawn if it has a free slot, else not; O(1)."""
        self._places.settle(node, node.in_flight)

    def leave(self, node: Node) -> None:
        """Let `node` not be drawn any more; O(1)."""
        if node.note.index != NOWHERE:
            self._places.drop(node)

    def pick(self, request: Request, now: float) -> Node | None:
        """Choose a node that `request` fits, and count the slots it takes as taken; O(choices) for an open request.

        Every set of nodes is as likely to be drawn as any other. Of equal loads that of the one drawn first counts
        as less, which is any of them.
        """
        node = self._least(request, now)
        if node is not None:
            self._places.settle(node, node.in_flight + request.takes(node))
        return node

    def _least(self, request: Request, now: float) -> Node | None:
        left, best, least = self._choices, None, None
        for position in range(len(self._places.nodes)):
            node = self._places.draw(position)
            if request.open or request.fits(node):
                load = self._load(node, now)
                if least is None or load < least:
                    best, least = node, load
                left -= 1
                if not left:
                    break
        return best
