"""Lay out the two columns that are the edges of a graph.

Decides which shape they get, and when given edges may stay. It must not know how lists are drawn.
"""

import random
from collections.abc import Mapping

from balancer.pipeline.generators.draw.graphs import Shape, draw_edges, without_cycles
from balancer.pipeline.generators.draw.settle import RulesConflict
from balancer.pipeline.generators.draw.sizes import decide_graph
from balancer.pipeline.generators.draw.styles import Style
from balancer.pipeline.generators.learn.edges import EdgeTable, is_connected
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import RuleKind

__all__ = ["Columns", "GraphLayout"]

Columns = dict[int, list[str]]


class GraphLayout:
    """The graphs of one input."""

    def __init__(
        self,
        knowledge: Knowledge,
        style: Style,
        connected: frozenset[EdgeTable],
        rng: random.Random,
    ) -> None:
        self._knowledge = knowledge
        self._style = style
        self._connected = connected
        self._rng = rng

    def graphs(self, columns: Columns, count: int, known: Mapping[int, int], *, fresh: bool) -> None:
        """Let columns that are the edges of a graph be one; given edges only if they are none any more.

        Raises RulesConflict.
        """
        for edges in self._knowledge.edges:
            if edges.left not in columns or edges.right not in columns or edges.bound.field not in known:
                continue
            nodes = edges.bound.of(known) - edges.low + 1
            if fresh or not self._is_kept(edges, columns, nodes):
                drawn = self._edges(edges, nodes, count)
                columns[edges.left] = [str(edges.low + left) for left, _ in drawn]
                columns[edges.right] = [str(edges.low + right) for _, right in drawn]

    def _is_kept(self, edges: EdgeTable, columns: Columns, nodes: int) -> bool:
        """Say whether given edges are still such a graph as is wanted."""
        if edges in self._connected and not _connects(edges, columns, nodes):
            return False
        if not decide_graph(self._knowledge, RuleKind.SIMPLE, edges, self._rng):
            return True
        pairs = list(zip(columns[edges.left], columns[edges.right], strict=True))
        return len({frozenset(pair) for pair in pairs}) == len(pairs) and all(one != other for one, other in pairs)

    def _edges(self, edges: EdgeTable, nodes: int, count: int) -> list[tuple[int, int]]:
        simple = decide_graph(self._knowledge, RuleKind.SIMPLE, edges, self._rng)
        shape = self._style.shape or Shape.RANDOM
        drawn = draw_edges(shape, nodes, count, self._rng, simple=simple, connected=edges in self._connected)
        if len(drawn) < count:
            raise RulesConflict
        if decide_graph(self._knowledge, RuleKind.ACYCLIC, edges, self._rng):
            return without_cycles(drawn, nodes, self._rng)
        return drawn


def _connects(edges: EdgeTable, columns: Columns, nodes: int) -> bool:
    pairs = zip(columns[edges.left], columns[edges.right], strict=True)
    numbered = [(int(left) - edges.low, int(right) - edges.low) for left, right in pairs]
    return is_connected(nodes, numbered)
