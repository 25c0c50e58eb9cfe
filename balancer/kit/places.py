"""A set of nodes with a free slot: adding, removing and drawing a node at random cost O(1).

A node's note has its index in the list, so no search is needed.

    def join(self, node, now):
        node.note = Place()
        self._places.settle(node, node.in_flight)

List and notes agree between any two calls, even after an interrupt such as Ctrl-C. Python handles signals after a call
and at the end of a loop, and a swap makes no calls once it has begun.
"""

import random
from typing import Final

from balancer.strategy import Node, Request

__all__ = ["NOWHERE", "Place", "Places"]

NOWHERE: Final = -1


class Place:
    """The index of a node in the list, or `NOWHERE`. It is the node's note; subclass it to note more."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = NOWHERE


class Places:
    """Nodes with a free slot, in no order. The note of every node is a `Place`. A node is in one list at most.

    Args:
        rng: the random numbers for draws.

    Attributes:
        nodes: the nodes. Read only.
    """

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random
        self.nodes: list[Node] = []

    def put(self, node: Node) -> None:
        """Add a node that is in no list; O(1)."""
        nodes = self.nodes
        node.note.index = len(nodes)
        nodes.append(node)

    def drop(self, node: Node) -> None:
        """Remove a node of this list, and move the last one to its place; O(1)."""
        nodes, place = self.nodes, node.note
        index = place.index
        place.index = NOWHERE
        last = nodes[-1]
        del nodes[-1]
        if last is not node:
            nodes[index] = last
            last.note.index = index

    def settle(self, node: Node, in_flight: int) -> None:
        """Put or drop `node`, so that it is here exactly if `in_flight` leaves it a free slot; O(1)."""
        if in_flight < node.limit:
            if node.note.index == NOWHERE:
                self.put(node)
        elif node.note.index != NOWHERE:
            self.drop(node)

    def draw(self, position: int) -> Node:
        """Swap a random node at or after `position` to `position`, and return it; O(1).

        Draws at 0, 1, 2, ... give distinct nodes: the start of a shuffle (Fisher-Yates).
        """
        nodes = self.nodes
        index = position + int(self._random() * (len(nodes) - position))
        node = nodes[index]
        if index != position:
            other = nodes[position]
            nodes[index], nodes[position] = other, node
            other.note.index = index
            node.note.index = position
        return node

    def any_that_fits(self, request: Request) -> Node | None:
        """Return a random node that `request` fits, or None; O(1) for an open request."""
        for position in range(len(self.nodes)):
            node = self.draw(position)
            if request.open or request.fits(node):
                return node
        return None
