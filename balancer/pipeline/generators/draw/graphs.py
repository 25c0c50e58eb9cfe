"""Graphs on which programs often fail: deep paths, stars, cycles, unconnected parts. Pure: numbers in, edges out."""

import random
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice
from math import isqrt

__all__ = [
    "TREES",
    "Shape",
    "draw_edges",
    "edges_wanted",
    "nodes_wanted",
    "without_cycles",
]

_Edge = tuple[int, int]
_MOST_NODES = 10**6  # with more nodes, a shape has no effect


class Shape(Enum):
    """The shape of a graph."""

    RANDOM = "random graph"
    PATH = "path"
    STAR = "star"
    CYCLE = "cycle"
    TREE = "random tree"
    COMPLETE = "complete graph"
    PARTS = "two parts"
    BINARY = "binary tree"
    DEEP = "deep random tree"  # each node is attached to one of the last few
    BIPARTITE = "complete bipartite graph"


TREES = (Shape.PATH, Shape.STAR, Shape.TREE, Shape.BINARY, Shape.DEEP)


def edges_wanted(shape: Shape, nodes: int) -> int | None:
    """Return the number of edges of the shape with so many nodes; None if any number will do."""
    wanted = {
        **dict.fromkeys(TREES, nodes - 1),
        Shape.CYCLE: nodes,
        Shape.BIPARTITE: _across(nodes),
        Shape.COMPLETE: nodes * (nodes - 1) // 2,
        Shape.PARTS: max(nodes - 2, 0),
    }
    return wanted.get(shape)


def nodes_wanted(shape: Shape, count: int) -> int | None:
    """Return the least number of nodes with which the shape has so many edges; None if it is not dense."""
    if shape is Shape.COMPLETE:
        return (1 + isqrt(1 + 8 * max(count, 0))) // 2
    return 2 * isqrt(max(count, 0)) if shape is Shape.BIPARTITE else None


def _across(nodes: int) -> int:
    """Return the number of edges between two halves."""
    return (nodes // 2) * (nodes - nodes // 2)


def draw_edges(
    shape: Shape, nodes: int, count: int, rng: random.Random, *, simple: bool, connected: bool
) -> list[_Edge]:
    """Return `count` edges between nodes 0 to `nodes` - 1, or fewer if there are not as many.

    Edges beyond those of the shape are random. `simple`: no loop and no edge twice, if there are enough others.
    `connected`: every node can be reached from every other, if there are enough edges.
    """
    if nodes > _MOST_NODES:
        return _random_edges(nodes, count, set(), rng, simple=False)
    wanted = edges_wanted(shape, nodes)
    scattered = shape in (Shape.RANDOM, Shape.PARTS) or (shape not in TREES and (wanted or 0) > count)
    if connected and scattered:
        shape = Shape.TREE
    if shape in _LISTED:
        edges = list(islice(_LISTED[shape](nodes), count))
    else:
        edges = [_EDGES[shape](index, nodes, rng) for index in range(_natural_count(shape, nodes, count))]
    edges += _random_edges(nodes, count - len(edges), set(edges), rng, simple=simple)
    if shape is not Shape.RANDOM and rng.random() < 0.5:
        edges = _relabelled(edges, nodes, rng)
    return edges


def _natural_count(shape: Shape, nodes: int, count: int) -> int:
    if shape is Shape.RANDOM:
        return 0
    return max(min(edges_wanted(shape, nodes) or 0, count), 0)


_EDGES: dict[Shape, Callable[[int, int, random.Random], _Edge]] = {
    Shape.PATH: lambda index, nodes, rng: (index, index + 1),
    Shape.STAR: lambda index, nodes, rng: (0, index + 1),
    Shape.TREE: lambda index, nodes, rng: (int((index + 1) * rng.random()), index + 1),
    Shape.CYCLE: lambda index, nodes, rng: (index, (index + 1) % nodes),
    Shape.BINARY: lambda index, nodes, rng: (index // 2, index + 1),
    Shape.DEEP: lambda index, nodes, rng: (max(index - int(3 * rng.random()), 0), index + 1),
    Shape.PARTS: lambda index, nodes, rng: (index, index + 1) if index < nodes // 2 - 1 else (index + 1, index + 2),
}


def _complete(nodes: int) -> Iterator[_Edge]:
    return ((left, right) for right in range(1, nodes) for left in range(right))


def _bipartite(nodes: int) -> Iterator[_Edge]:
    """Yield the edges between the first half and the second, small node numbers first."""
    half = nodes // 2
    yield from ((left, half + right) for last in range(nodes - half) for left, right in _border(last, half))


def _border(last: int, half: int) -> Iterator[_Edge]:
    yield from ((left, last) for left in range(min(last + 1, half)))
    if last < half:
        yield from ((last, right) for right in range(last))


_LISTED: dict[Shape, Callable[[int], Iterator[_Edge]]] = {
    Shape.COMPLETE: _complete,
    Shape.BIPARTITE: _bipartite,
}


def without_cycles(edges: list[_Edge], nodes: int, rng: random.Random) -> list[_Edge]:
    """Direct edges so that there is no cycle, by node number or by another order. Loops stay."""
    rank = list(range(nodes))
    if rng.random() < 0.5:
        rng.shuffle(rank)
    return [(one, other) if rank[one] <= rank[other] else (other, one) for one, other in edges]


def _random_edges(nodes: int, count: int, known: set[_Edge], rng: random.Random, *, simple: bool) -> list[_Edge]:
    edges: list[_Edge] = []
    tries = 0
    draw = rng.random  # three times as fast as randrange
    while len(edges) < count and nodes > 0:
        edge = int(nodes * draw()), int(nodes * draw())
        tries += 1
        again = edge in known or (edge[1], edge[0]) in known or edge[0] == edge[1]
        if simple and again and tries < 4 * count + 50:
            continue
        known.add(edge)
        edges.append(edge)
    return edges


def _relabelled(edges: list[_Edge], nodes: int, rng: random.Random) -> list[_Edge]:
    """Renumber the nodes, turn some edges and shuffle them. The graph is the same."""
    labels = list(range(nodes))
    rng.shuffle(labels)
    turned = [(labels[left], labels[right]) for left, right in edges]
    turned = [edge if rng.random() < 0.5 else (edge[1], edge[0]) for edge in turned]
    rng.shuffle(turned)
    return turned
