"""Round-robin order of nodes, by round and then by the order of joining; O(log N).

When a node moves, it gets a new entry, and only its last entry counts. Old entries are removed when they come first, or
when there are too many. So removing a node needs no search, and an interrupt after any call loses no other node.
"""

from abc import abstractmethod
from heapq import heappop, heappush
from itertools import count
from typing import Final

from balancer.endpoint import Outcome
from balancer.strategy import Node, Request, Strategy

__all__ = ["InTurn", "Turn"]

_FEW: Final = 64  # fewer entries are not worth a sweep


class Turn:
    """A node's number in the order of joining, and its turn. It is the node's note.

    Attributes:
        entry: its round, its number and itself; None while it has no turn.
    """

    __slots__ = ("entry", "node", "number")

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.number = number
        self.entry: tuple[int, int, Turn] | None = None


class InTurn(Strategy):
    """Base class: nodes with a free slot have a turn, the others have none. A subclass sets the round, and picks."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Turn]] = []
        self._numbers = count(1)
        self._sweep_at = _FEW

    @abstractmethod
    def round_of(self, turn: Turn) -> int:
        """Return the round in which a node with a free slot has its turn."""
        ...

    def join(self, node: Node, now: float) -> None:
        """O(log N)."""
        node.note = Turn(node, next(self._numbers))
        self.change(node, now)

    def leave(self, node: Node, now: float) -> None:
        """O(1)."""
        node.note.entry = None

    def change(self, node: Node, now: float) -> None:
        """O(log N)."""
        if node.in_flight >= node.limit:
            node.note.entry = None
        elif node.note.entry is None:
            self.queue(node.note)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        """O(log N)."""
        self.change(node, now)

    def queue(self, turn: Turn) -> None:
        """Give it a turn, in place of an earlier one; O(log N), amortised."""
        entry = turn.entry = (self.round_of(turn), turn.number, turn)
        heappush(self._heap, entry)
        if len(self._heap) > self._sweep_at:
            self._heap = sorted(entry for entry in self._heap if entry[2].entry is entry)
            self._sweep_at = 2 * len(self._heap) + _FEW

    def first(self, request: Request) -> Turn | None:
        """Return the first one that `request` fits, or None. It keeps its turn.

        O(log N), amortised, for an open request.
        """
        heap = self._heap if request.open else self._heap.copy()
        while heap:
            entry = heap[0]
            if entry[2].entry is entry and (request.open or request.fits(entry[2].node)):
                return entry[2]
            heappop(heap)
        return None
