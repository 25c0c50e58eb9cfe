"""Shapes that single formats ask for: graphs with weights, two sides; that they are what they say, and come early."""

import heapq
import random
from collections import deque
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generators_mutate import problem

from balancer.pipeline.generators.draw import fit
from balancer.pipeline.generators.draw.graphs import Shape, draw_edges, edges_wanted
from balancer.pipeline.generators.draw.relaxing import RELAXING, draw_relaxing
from balancer.pipeline.generators.learn.connected import is_connected
from balancer.pipeline.generators.mutate import MutateGenerator

seeds = st.integers(0, 10**6).map(random.Random)
Weighted = list[tuple[int, int, int]]


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
    parents = fit.parents([1] * 25, 2, 1, kind, random.Random(1))
    depths = {1: 0}
    for node, parent in enumerate(parents, 2):
        depths[node] = depths[parent] + 1
    assert max(depths.values()) == depth


# -- weights -------------------------------------------------------------------------------------------


def following(nodes: int, edges: Weighted) -> list[list[tuple[int, int]]]:
    found: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    for left, right, weight in edges:
        found[left].append((right, weight))
    return found


def steps_of_dijkstra(nodes: int, edges: Weighted) -> int:
    """Count the edges looked at when entries of the queue that are out of date are not left out."""
    after, best, steps = following(nodes, edges), {0: 0}, 0
    waiting = [(0, 0)]
    while waiting:
        _, node = heapq.heappop(waiting)
        for other, weight in after[node]:
            steps += 1
            if best[node] + weight < best.get(other, 10**18):
                best[other] = best[node] + weight
                heapq.heappush(waiting, (best[other], other))
    return steps


def steps_of_queue(nodes: int, edges: Weighted) -> int:
    """Count the edges looked at by a queue that takes each node again whenever it has become nearer."""
    after, best, steps = following(nodes, edges), {0: 0}, 0
    waiting, inside = deque([0]), {0}
    while waiting:
        node = waiting.popleft()
        inside.discard(node)
        for other, weight in after[node]:
            steps += 1
            if best[node] + weight < best.get(other, 10**18):
                best[other] = best[node] + weight
                if other not in inside:
                    inside.add(other)
                    waiting.append(other)
    return steps


def steps_of_recursion(nodes: int, edges: Weighted) -> int:
    """Count the edges looked at by a search that goes on at once whenever a node has become nearer."""
    after, best, steps = following(nodes, edges), {0: 0}, 0
    waiting = [(0, iter(after[0]))]
    while waiting:
        node, left = waiting[-1]
        step = next(left, None)
        if step is None:
            waiting.pop()
            continue
        steps += 1
        other, weight = step
        if best[node] + weight < best.get(other, 10**18):
            best[other] = best[node] + weight
            waiting.append((other, iter(after[other])))
    return steps


@given(st.sampled_from(RELAXING), st.integers(2, 40), st.integers(0, 30), st.integers(0, 9), st.integers(0, 99), seeds)
def test_weighted_graphs_are_what_is_asked_for(
    shape: Shape, nodes: int, more: int, low: int, width: int, rng: random.Random
) -> None:
    wanted = edges_wanted(shape, nodes)
    assert wanted is not None
    count = min(wanted + more, nodes * (nodes - 1) // 2)
    edges = draw_relaxing(shape, nodes, count, (low, low + width), rng)
    assert edges is not None
    assert len(edges) == count
    assert all(0 <= left < right < nodes and low <= weight <= low + width for left, right, weight in edges)
    assert is_connected(nodes, [(left, right) for left, right, _ in edges])
    assert draw_relaxing(shape, nodes, wanted - 1, (low, low + width), rng) is None


@pytest.mark.parametrize(
    ("shape", "steps", "least"),
    [
        (Shape.HUB, steps_of_dijkstra, 200 * 200 // 6),
        (Shape.FAN, steps_of_queue, 200 * 200 // 4),
        (Shape.LADDER, steps_of_recursion, 10**4),
    ],
)
def test_weights_that_slow_down_searches_for_short_ways(shape: Shape, steps, least: int) -> None:  # type: ignore[no-untyped-def]
    nodes = 26 if shape is Shape.LADDER else 200
    wanted = edges_wanted(shape, nodes)
    assert wanted is not None
    edges = draw_relaxing(shape, nodes, wanted, (1, 10**6), random.Random(1))
    assert edges is not None
    assert steps(nodes, edges) >= least
    assert steps(nodes, [(left, right, 7) for left, right, _ in edges]) < least  # it is the weights that do it


STREETS = problem(
    "4 5\n1 2 7\n1 3 2\n2 4 9\n3 4 1\n2 3 7\n",
    "3 2\n1 2 100\n1 3 1\n",
    validator="assert 2 <= n <= 1000\nassert 1 <= m <= 5000\nassert 1 <= u < v <= n\nassert 1 <= w <= 10**6",
)


@cache
def streets(seed: int) -> list[tuple[int, Weighted]]:
    found = []
    for made in MutateGenerator().propose(STREETS, random.Random(seed), 40):
        (nodes, _), *rows = [tuple(map(int, line.split())) for line in made.data.decode().splitlines()]
        if all(1 <= node <= nodes for row in rows for node in row[:2]):
            found.append((nodes, [(row[0] - 1, row[1] - 1, row[2]) for row in rows]))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_large_graphs_with_weights_come_early_that_are_relaxed_again_and_again(seed: int) -> None:
    large = [(nodes, edges) for nodes, edges in streets(seed) if nodes >= 500]
    assert any(steps_of_dijkstra(nodes, edges) > 10 * len(edges) for nodes, edges in large)
