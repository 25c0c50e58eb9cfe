"""Columns that look like the edges of a graph, and the properties of all known graphs. Pure.

Two columns are edges if the same number of nodes bounds both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.template import Count, Instance, LineNode, Node, Repeat

__all__ = ["EdgeTable", "find_edges", "is_acyclic", "is_connected", "is_rooted"]

_MOST_NODES = 10**6  # limit of a list of all nodes; no known input has as many


def is_connected(nodes: int, edges: Iterable[tuple[int, int]]) -> bool:
    """Return whether every node from 0 to `nodes` - 1 reaches every other; False for edges to other nodes."""
    if nodes > _MOST_NODES:
        return False
    leader = list(range(nodes))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    parts = nodes
    for left, right in edges:
        if not (0 <= left < nodes and 0 <= right < nodes):
            return False
        one, other = find(left), find(right)
        parts -= one != other
        leader[one] = other
    return parts <= 1


def is_acyclic(nodes: int, edges: Iterable[tuple[int, int]]) -> bool:
    """Return whether the directed edges have no cycle."""
    following: dict[int, list[int]] = {}
    waiting = [0] * nodes
    for left, right in edges:
        following.setdefault(left, []).append(right)
        waiting[right] += 1
    free = [node for node in range(nodes) if not waiting[node]]
    seen = 0
    while free:
        seen += 1
        for node in following.get(free.pop(), ()):
            waiting[node] -= 1
            if not waiting[node]:
                free.append(node)
    return seen == nodes


def is_rooted(nodes: int, edges: Sequence[tuple[int, int]]) -> bool:
    """Return whether the directed edges are a tree that leads from node 0 to every other."""
    ends = {right for _, right in edges}
    return len(edges) == len(ends) == nodes - 1 and 0 not in ends and is_connected(nodes, edges)


_TELLING_EDGES = 6  # fewer edges may have no cycle by chance


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """Two columns of repeated lines that look like the edges of a graph.

    Args:
        left, right: the columns.
        bound: what tells the number of nodes; nodes go from `low` to it.
        rows: the field that counts the edges, or None.
        simple: no edge was seen twice, and no loop.
        connected: all known graphs are connected.
        acyclic: no known graph has a cycle, with edges from left to right.
        weight: the next column, if it has whole numbers, or None.
        rooted: all known graphs are trees that lead from the first node to every other, with edges from left to right.
        upwards: the left end of an edge is always the smaller one.
    """

    left: int
    right: int
    bound: Count
    low: int
    rows: Count | None
    simple: bool
    connected: bool
    acyclic: bool = False
    weight: int | None = None
    rooted: bool = False
    upwards: bool = False


def find_edges(nodes: Sequence[Node], facts: Facts, instances: Sequence[Instance]) -> Iterator[EdgeTable]:
    """Yield the columns of a template that look like edges."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from find_edges(node.body, facts, instances)
            if isinstance(node.table, LineNode):
                for left, right in pairwise(node.table.fields):
                    weight = _weight(right, node.table.fields, facts)
                    yield from _edge_table(left, right, weight, node, facts, instances)


def _weight(right: int, fields: Sequence[int], facts: Facts) -> int | None:
    """Return the column after `right`, if it may be the length of edges."""
    after = fields[fields.index(right) + 1 :]
    if not after or facts.fields[after[0]].kind is not TokenKind.INT:
        return None
    fact = facts.fields[after[0]]
    return None if fact.boolean or fact.permutation else after[0]


def _edge_table(
    left: int, right: int, weight: int | None, node: Repeat, facts: Facts, instances: Sequence[Instance]
) -> Iterator[EdgeTable]:
    """Yield the two columns as edges, if the same number of nodes bounds both."""
    one, other = facts.fields[left], facts.fields[right]
    if one.kind is not TokenKind.INT or one.bound is None or one.bound != other.bound:
        return
    low = min(one.low, other.low, 1)
    graphs = list(_graphs(left, right, one.bound, low, instances))
    simple = all(len({frozenset(edge) for edge in edges}) == len(edges) for _, edges in graphs)
    loops = any(from_ == to for _, edges in graphs for from_, to in edges)
    connected = all(is_connected(size, edges) for size, edges in graphs)
    telling = sum(len(edges) for _, edges in graphs) >= _TELLING_EDGES
    acyclic = telling and all(is_acyclic(size, edges) for size, edges in graphs)
    rooted = telling and all(is_rooted(size, edges) for size, edges in graphs)
    upwards = all(from_ < to for _, edges in graphs for from_, to in edges)
    yield EdgeTable(
        left, right, one.bound, low, node.count, simple and not loops, connected, acyclic, weight, rooted, upwards
    )


def _graphs(
    left: int, right: int, bound: Count, low: int, instances: Sequence[Instance]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each known graph: its number of nodes, and its edges with nodes numbered from 0."""
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                edges = [
                    (int(from_) - low, int(to) - low) for from_, to in zip(tokens, instance[right, where], strict=True)
                ]
                # The nearest block around the edges with the bound.
                places = [(bound.field or 0, where[:depth]) for depth in range(len(where), -1, -1)]
                told = next(instance[place] for place in places if place in instance)
                yield int(told[0]) + bound.plus - low + 1, edges
