"""A set of nodes with a free slot, in which any member is put, dropped or drawn in O(1).

Decides how a node is found without a search: its note says where it stands. It must not know which node
is preferred, nor why.

    def join(self, node, now):
        node.note = Place()
        self._places.settle(node, node.in_flight)

Between any two calls the list and the notes agree, even if a Ctrl-C interrupts one half-way: Python looks for
signals after a call and at the end of a loop, and once a swap has begun nothing is called here. Else the list
would contradict the notes, and a pool could do nothing more.
"""

import random
from typing import Final

from balancer.strategy import Node, Request

__all__ = ["NOWHERE", "Place", "Places"]

NOWHERE: Final = -1


class Place:
    """Where a node stands: its index in the list, or `NOWHERE`. It is the node's note; subclass it to note more."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = NOWHERE


class Places:
    """Nodes with a free slot, in no order. The note of every node is a `Place`, and it stands in one list at most.

    Args:
        rng: what draws are made with.

    Attributes:
        nodes: to look at, and not to change.
    """

    __slots__ = ("_random", "nodes")

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random
        self.nodes: list[Node] = []

    def put(self, node: Node) -> None:
        """Let a node in that stands nowhere; O(1)."""
        nodes = self.nodes
        node.note.index = len(nodes)
        nodes.append(node)

    def drop(self, node: Node) -> None:
        """Take out a node that stands here, and move the last one to its place; O(1)."""
        nodes, place = self.nodes, node.note
        index = place.index
        place.index = NOWHERE
        last = nodes[-1]
        del nodes[-1]
        if last is not node:
            nodes[index] = last
            last.note.index = index

    def settle(self, node: Node, in_flight: int) -> None:
        """Put or drop `node`, whichever it takes, so that it is here if `in_flight` leaves it a free slot; O(1)."""
        if in_flight < node.limit:
            if node.note.index == NOWHERE:
                self.put(node)
        elif node.note.index != NOWHERE:
            self.drop(node)

    def draw(self, position: int) -> Node:
        """Swap any of the nodes from `position` on to there, each as likely, and return it; O(1).

        Draws at 0, 1, 2, ... are distinct: the beginning of a shuffle (Fisher-Yates).
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
        """Return any node that `request` fits, each as likely, or None; O(1) for an open request."""
        for position in range(len(self.nodes)):
            node = self.draw(position)
            if request.open or request.fits(node):
                return node
        return None
