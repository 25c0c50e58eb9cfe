"""Graphs whose weights make careless searches for shortest ways look at the same edges again and again.

Decides edges and weights together, as neither does harm alone. Pure: numbers in, rows out; the search begins at node 0.
"""

import random
from collections.abc import Callable, Iterator
from itertools import chain

from balancer.pipeline.generators.draw.graphs import Shape, edges_wanted, shape_of

__all__ = ["RELAXING", "draw_relaxing"]

_Row = tuple[int, int, int]
_Weights = Callable[[int, int, int, int, int], int]  # above the least, given left, right, nodes, least and greatest


def draw_relaxing(
    shape: Shape, nodes: int, count: int, limits: tuple[int, int], rng: random.Random
) -> list[_Row] | None:
    """Return `count` rows (from, to, weight) with from < to and weights within `limits`.

    None if that is too few for the shape, or more than there are pairs of nodes. Edges beyond those of the shape are as
    heavy as may be, so that no way takes them.
    """
    wanted = edges_wanted(shape, nodes)
    if wanted is None or not wanted <= count <= nodes * (nodes - 1) // 2:
        return None
    low = min(max(limits[0], 0), limits[1])
    rows = [
        (left, right, min(low + _WEIGHTS[shape](left, right, nodes, low, limits[1]), limits[1]))
        for left, right in _in_turn(shape, nodes)
    ]
    if count > wanted:
        rows += _heavy(nodes, count - wanted, {(left, right) for left, right, _ in rows}, limits[1], rng)
    return rows


def _in_turn(shape: Shape, nodes: int) -> list[tuple[int, int]]:
    """Return the edges of a shape, those first that are worth looking at last."""
    return sorted(shape_of(shape, nodes), key=lambda edge: (edge[0], -edge[1]))


def _heavy(nodes: int, count: int, known: set[tuple[int, int]], weight: int, rng: random.Random) -> Iterator[_Row]:
    """Yield edges that are not known: some at random, then those that are left, in order."""
    drawn = (sorted((rng.randrange(nodes), rng.randrange(nodes))) for _ in range(4 * count + 50))
    for left, right in chain(drawn, shape_of(Shape.COMPLETE, nodes)):
        if left < right and (left, right) not in known:
            known.add((left, right))
            yield left, right, weight
            count -= 1
            if not count:
                return


def _fan(left: int, right: int, nodes: int, low: int, high: int) -> int:
    """Let the path be better everywhere, by a little, than the edges from node 0, which are all seen first."""
    return (low + 1) * right if left == 0 else 0


def _hub(left: int, right: int, nodes: int, low: int, high: int) -> int:
    """Let the way to the hub become shorter with each of the nodes before it, long before it is its turn."""
    before = (nodes - 2) // 2
    room = min(high - low, 2 * before)  # with less of it, fewer nodes make the way shorter
    if left == 0 and before:
        return right * room // (2 * before)
    return (before - left) * room // before if right == before + 1 and 0 < left <= before else 0


def _ladder(left: int, right: int, nodes: int, low: int, high: int) -> int:
    """Let each short cut be worse than all later ones together: a search that goes on at once sees 2**steps ways."""
    if right == left + 1:
        return 0
    worse = 1 << min((nodes - 1 - left) // 2 - 1, high.bit_length())
    return low + worse if left % 2 == 0 else high - low


_WEIGHTS: dict[Shape, _Weights] = {Shape.FAN: _fan, Shape.HUB: _hub, Shape.LADDER: _ladder}
RELAXING = tuple(_WEIGHTS)
