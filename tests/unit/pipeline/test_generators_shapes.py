"""Shapes of graphs: two sides, combs, trees with a few edges more; that they are what they say."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.draw import repair
from balancer.pipeline.generators.draw.graphs import Shape, draw_edges, edges_wanted
from balancer.pipeline.generators.learn.edges import is_connected

seeds = st.integers(0, 10**6).map(random.Random)


# -- graphs --------------------------------------------------------------------------------------------


def has_two_sides(nodes: int, edges: list[tuple[int, int]]) -> bool:
    """Say whether nodes can be put on two sides so that every edge goes across."""
    beside: dict[int, list[int]] = {}
    for one, other in edges:
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    side: dict[int, int] = {}
    for start in range(nodes):
        side.setdefault(start, 0)
        waiting = [start]
        while waiting:
            node = waiting.pop()
            for other in beside.get(node, ()):
                if other not in side:
                    side[other] = 1 - side[node]
                    waiting.append(other)
                elif other != node and side[other] == side[node]:
                    return False
    return all(one != other for one, other in edges)


@given(st.integers(2, 40), seeds)
def test_random_edges_between_two_sides(nodes: int, rng: random.Random) -> None:
    wanted = edges_wanted(Shape.SIDES, nodes)
    assert wanted is not None
    edges = draw_edges(Shape.SIDES, nodes, wanted, rng, simple=True, connected=True)
    assert len({frozenset(edge) for edge in edges}) == wanted >= nodes - 1
    assert is_connected(nodes, edges)
    assert has_two_sides(nodes, edges)


@given(st.integers(6, 60), seeds)
def test_a_tree_with_a_few_edges_more(nodes: int, rng: random.Random) -> None:
    wanted = edges_wanted(Shape.FEW_MORE, nodes)
    assert wanted is not None
    assert nodes <= wanted <= nodes + 4
    edges = draw_edges(Shape.FEW_MORE, nodes, wanted, rng, simple=True, connected=True)
    assert is_connected(nodes, edges)
    assert len({frozenset(edge) for edge in edges}) == wanted


def test_a_comb_has_long_teeth() -> None:
    drawn = [draw_edges(Shape.COMB, 25, 24, random.Random(seed), simple=True, connected=True) for seed in range(9)]
    assert all(is_connected(25, edges) for edges in drawn)
    for edges in drawn:
        ends = [node for edge in edges for node in edge]
        degrees = [ends.count(node) for node in range(25)]
        assert (degrees.count(3), degrees.count(1)) == (3, 5)  # the ends of the back of the comb turn into teeth


@pytest.mark.parametrize(("kind", "depth"), [("path", 25), ("star", 1), ("comb", 8), ("binary", 4)])
def test_lists_of_parents_make_the_same_trees(kind: str, depth: int) -> None:
    """From node 2 on each has a parent from 1 on: the deepest node is as far from the root as the shape says."""
    parents = repair.parents([1] * 25, 2, 1, kind, random.Random(1))
    depths = {1: 0}
    for node, parent in enumerate(parents, 2):
        depths[node] = depths[parent] + 1
    assert max(depths.values()) == depth
