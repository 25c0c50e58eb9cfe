"""Edges of graphs on which programs break: deep paths, stars, cycles, parts that are not connected.

Pure: numbers in, pairs out. It must not know how edges are written in an input.
"""

import random
from collections.abc import Callable
from enum import Enum

__all__ = ["Shape", "draw_edges", "edges_wanted"]

_Edge = tuple[int, int]
_MOST_NODES = 10**6  # with more, any shape is lost in the crowd


class Shape(Enum):
    """What a graph looks like."""

    RANDOM = "random graph"
    PATH = "path"
    STAR = "star"
    CYCLE = "cycle"
    TREE = "random tree"
    COMPLETE = "complete graph"
    PARTS = "two parts"


def edges_wanted(shape: Shape, nodes: int) -> int | None:
    """Return how many edges the shape has on so many nodes; None if any number will do."""
    wanted = {
        Shape.PATH: nodes - 1,
        Shape.STAR: nodes - 1,
        Shape.TREE: nodes - 1,
        Shape.CYCLE: nodes,
        Shape.COMPLETE: nodes * (nodes - 1) // 2,
        Shape.PARTS: max(nodes - 2, 0),
    }
    return wanted.get(shape)


def draw_edges(
    shape: Shape, nodes: int, count: int, rng: random.Random, *, simple: bool, connected: bool
) -> list[_Edge]:
    """Return `count` edges between nodes 0 to `nodes` - 1, as far as there are any.

    Edges beyond those of the shape are random. `simple`: no edge twice and no loop, if there are enough.
    `connected`: every node is reached from every other, if there are edges enough.
    """
    if nodes > _MOST_NODES:
        return _random_edges(nodes, count, set(), rng, simple=False)
    scattered = shape in (Shape.RANDOM, Shape.PARTS) or (shape is Shape.COMPLETE and 2 * count < nodes * (nodes - 1))
    if connected and scattered:
        shape = Shape.TREE
    edges = [_EDGES[shape](index, nodes, rng) for index in range(_natural_count(shape, nodes, count))]
    if shape is Shape.COMPLETE:
        edges = _complete(nodes, count)
    edges += _random_edges(nodes, count - len(edges), set(edges), rng, simple=simple)
    if shape is not Shape.RANDOM and rng.random() < 0.5:
        edges = _relabelled(edges, nodes, rng)
    return edges


def _natural_count(shape: Shape, nodes: int, count: int) -> int:
    if shape in (Shape.RANDOM, Shape.COMPLETE):
        return 0
    return max(min(edges_wanted(shape, nodes) or 0, count), 0)


_EDGES: dict[Shape, Callable[[int, int, random.Random], _Edge]] = {
    Shape.PATH: lambda index, nodes, rng: (index, index + 1),
    Shape.STAR: lambda index, nodes, rng: (0, index + 1),
    Shape.TREE: lambda index, nodes, rng: (rng.randint(0, index), index + 1),
    Shape.CYCLE: lambda index, nodes, rng: (index, (index + 1) % nodes),
    Shape.PARTS: lambda index, nodes, rng: (index, index + 1) if index < nodes // 2 - 1 else (index + 1, index + 2),
}


def _complete(nodes: int, count: int) -> list[_Edge]:
    edges: list[_Edge] = []
    for right in range(1, nodes):
        if len(edges) >= count:
            break
        edges += [(left, right) for left in range(right)]
    return edges[:count]


def _random_edges(nodes: int, count: int, known: set[_Edge], rng: random.Random, *, simple: bool) -> list[_Edge]:
    edges: list[_Edge] = []
    tries = 0
    while len(edges) < count and nodes > 0:
        edge = rng.randrange(nodes), rng.randrange(nodes)
        tries += 1
        again = edge in known or (edge[1], edge[0]) in known or edge[0] == edge[1]
        if simple and again and tries < 4 * count + 50:
            continue
        known.add(edge)
        edges.append(edge)
    return edges


def _relabelled(edges: list[_Edge], nodes: int, rng: random.Random) -> list[_Edge]:
    """Give nodes other numbers, turn some edges round and shuffle them: the same graph."""
    labels = list(range(nodes))
    rng.shuffle(labels)
    turned = [(labels[left], labels[right]) for left, right in edges]
    turned = [edge if rng.random() < 0.5 else (edge[1], edge[0]) for edge in turned]
    rng.shuffle(turned)
    return turned
