"""Lay out columns that belong together: the edges of a graph, with their weights, and points.

Decides which shape or figure they get, and when given edges may stay. It must not know how lists are drawn.
"""

import random
from collections.abc import Callable, Mapping

from balancer.pipeline.generators.draw import repair as mend
from balancer.pipeline.generators.draw.graphs import Shape, draw_edges, without_cycles
from balancer.pipeline.generators.draw.keep_rules import RulesConflict
from balancer.pipeline.generators.draw.points import draw_points
from balancer.pipeline.generators.draw.relaxing import RELAXING, draw_relaxing
from balancer.pipeline.generators.draw.sizes import FieldPlan, decide_graph
from balancer.pipeline.generators.draw.styles import Style
from balancer.pipeline.generators.draw.values import DrawLimits, Where, decimal
from balancer.pipeline.generators.learn.connected import is_connected
from balancer.pipeline.generators.learn.edges import EdgeTable
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import RuleKind

__all__ = ["ColumnLayout", "Columns"]

Columns = dict[int, list[str]]


class ColumnLayout:
    """Graphs and points of one input; `limits` tells the range of a field, given the earlier single ones."""

    def __init__(
        self,
        knowledge: Knowledge,
        style: Style,
        moods: Mapping[int, FieldPlan],
        connected: frozenset[EdgeTable],
        limits: Callable[[int, Mapping[int, int]], DrawLimits],
        rng: random.Random,
    ) -> None:
        self._knowledge = knowledge
        self._style = style
        self._moods = moods
        self._connected = connected
        self._limits = limits
        self._rng = rng

    def graphs(self, columns: Columns, count: int, known: Mapping[int, int], *, fresh: bool) -> None:
        """Let columns that are the edges of a graph be one; given edges only if they are none any more.

        Raises CannotObey.
        """
        for edges in self._knowledge.edges:
            if edges.left not in columns or edges.right not in columns or edges.bound.field not in known:
                continue
            nodes = edges.bound.of(known) - edges.low + 1
            if fresh or not self._is_kept(edges, columns, nodes):
                drawn = self._weighted(edges, nodes, count, columns, known) if fresh else None
                drawn = self._edges(edges, nodes, count) if drawn is None else drawn
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

    def _weighted(
        self, edges: EdgeTable, nodes: int, count: int, columns: Columns, known: Mapping[int, int]
    ) -> list[tuple[int, int]] | None:
        """Draw edges together with their weights, if the shape asks for it; None if it does not, or cannot be."""
        shape, number = self._style.shape_of(edges), edges.weight
        if shape not in RELAXING or number not in columns or self._moods[number].distinct:
            return None
        limits = self._limits(number, known)
        rows = draw_relaxing(shape, nodes, count, (limits.low, limits.high), self._rng)
        if rows is not None:
            columns[number] = [str(weight) for _, _, weight in rows]
        return None if rows is None else [(left, right) for left, right, _ in rows]

    def _edges(self, edges: EdgeTable, nodes: int, count: int) -> list[tuple[int, int]]:
        simple = decide_graph(self._knowledge, RuleKind.SIMPLE, edges, self._rng)
        shape = self._style.shape_of(edges) or Shape.RANDOM
        drawn = draw_edges(shape, nodes, count, self._rng, simple=simple, connected=edges in self._connected)
        if len(drawn) < count:
            raise RulesConflict
        if decide_graph(self._knowledge, RuleKind.ACYCLIC, edges, self._rng):
            return without_cycles(drawn, nodes, self._rng)
        return drawn

    def points(self, columns: Columns, count: int, known: Mapping[int, int]) -> None:
        """Let columns that are points make a figure, where the style has one."""
        figure = self._style.figure
        if figure is None or count < 2:
            return
        for table in self._knowledge.points:
            if table.x not in columns or table.y not in columns:
                continue
            spans = [self._span_of(number, known) for number in (table.x, table.y)]
            points = draw_points(figure, count, spans[0], spans[1], self._rng)
            if self._moods[table.x].ordered:
                points.sort()
            for number, values in zip((table.x, table.y), zip(*points, strict=True), strict=True):
                columns[number] = self._written(number, list(values), known)

    def _span_of(self, number: int, known: Mapping[int, int]) -> tuple[int, int]:
        """Return the least and the greatest value of a coordinate, in units of its last decimal."""
        limits, scale = self._limits(number, known), 10 ** self._knowledge.facts.fields[number].decimals
        seen = self._moods[number].where in (Where.TINY, Where.SEEN)
        low, high = (limits.seen_low, limits.seen_high) if seen else (limits.low, limits.high)
        low = min(max(low, limits.low), limits.high)
        return low * scale, max(min(high, limits.high), low) * scale

    def _written(self, number: int, values: list[int], known: Mapping[int, int]) -> list[str]:
        """Write coordinates, those that come again replaced if they may not."""
        if self._moods[number].distinct:
            values = mend.distinct_numbers(values, *self._span_of(number, known), self._rng)
        return [decimal(value, self._knowledge.facts.fields[number].decimals) for value in values]


def _connects(edges: EdgeTable, columns: Columns, nodes: int) -> bool:
    pairs = zip(columns[edges.left], columns[edges.right], strict=True)
    numbered = [(int(left) - edges.low, int(right) - edges.low) for left, right in pairs]
    inside = all(0 <= left < nodes and 0 <= right < nodes for left, right in numbered)
    return inside and is_connected(nodes, numbered)
