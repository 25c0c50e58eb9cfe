"""Columns that look like the edges of a graph, and the properties of all known graphs. Pure.

Two columns are edges if the same number of nodes bounds both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.template import Count, Instance, LineNode, Node, Repeat, before

__all__ = ["EdgeTable", "find_edges", "is_acyclic", "is_connected", "node_count"]

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
    """Return whether the directed edges have no cycle; False for edges to nodes that are not from 0 to `nodes` - 1."""
    following: dict[int, list[int]] = {}
    waiting = [0] * nodes
    for left, right in edges:
        if not (0 <= left < nodes and 0 <= right < nodes):
            return False
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


def find_edges(nodes: Sequence[Node], facts: Facts, instances: Sequence[Instance]) -> Iterator[EdgeTable]:
    """Yield the columns of a template that look like edges."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from find_edges(node.body, facts, instances)
            if isinstance(node.table, LineNode):
                fields = node.table.fields
                bounds = [(left, right, _bound(left, right, facts)) for left, right in pairwise(fields)]
                yield from _apart(
                    [
                        _edge_table(left, right, bound, _weight(right, fields, facts), node.count, instances)
                        for left, right, bound in bounds
                        if bound is not None
                    ]
                )


def _apart(tables: Sequence[EdgeTable]) -> Iterator[EdgeTable]:
    """Yield those of the edges of one line that have no end in common: first what is most like a graph."""
    taken: set[int] = set()
    for table in sorted(tables, key=lambda each: -(each.simple + each.connected)):
        if not taken & {table.left, table.right}:
            taken |= {table.left, table.right}
            yield table


def _bound(left: int, right: int, facts: Facts) -> Count | None:
    """Return the number of nodes, if it bounds both columns."""
    one, other = facts.fields[left], facts.fields[right]
    return one.bound if one.kind is TokenKind.INT and one.bound == other.bound else None


def _weight(right: int, fields: Sequence[int], facts: Facts) -> int | None:
    """Return the column after `right`, if it may be the length of edges."""
    after = fields[fields.index(right) + 1 :]
    if not after or facts.fields[after[0]].kind is not TokenKind.INT:
        return None
    return None if facts.fields[after[0]].permutation else after[0]


def _edge_table(
    left: int, right: int, bound: Count, weight: int | None, rows: Count | None, instances: Sequence[Instance]
) -> EdgeTable:
    low = _least(left, right, instances)
    graphs = list(_graphs(left, right, bound, low, instances))
    simple = all(len({frozenset(edge) for edge in edges}) == len(edges) for _, edges in graphs)
    loops = any(from_ == to for _, edges in graphs for from_, to in edges)
    connected = all(is_connected(size, edges) for size, edges in graphs)
    telling = sum(len(edges) for _, edges in graphs) >= _TELLING_EDGES
    acyclic = telling and all(is_acyclic(size, edges) for size, edges in graphs)
    return EdgeTable(left, right, bound, low, rows, simple and not loops, connected, acyclic, weight)


def _least(left: int, right: int, instances: Sequence[Instance]) -> int:
    """Return the number of the first node."""
    ends = (int(token) for each in instances for slot in each if slot[0] in (left, right) for token in each[slot])
    return min(1, min(ends, default=1))


def _graphs(
    left: int, right: int, bound: Count, low: int, instances: Sequence[Instance]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each known graph: its number of nodes, and its edges with nodes numbered from 0."""
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                pairs = zip(map(int, tokens), map(int, instance[right, where]), strict=True)
                yield node_count(bound, low, where, instance), [(from_ - low, to - low) for from_, to in pairs]


def node_count(bound: Count, low: int, where: tuple[int, ...], instance: Instance) -> int:
    """Return the number of nodes from `low` to the bound, of the edges at `where`. Raises StopIteration."""
    told = {} if bound.field is None else {bound.field: int(before(bound.field, where, instance)[0])}
    return bound.of(told) - low + 1
