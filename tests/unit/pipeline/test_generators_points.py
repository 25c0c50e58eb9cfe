"""Points: which columns are coordinates, figures that are what they say, and that they come early."""

import random
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generators_mutate import problem

from balancer.pipeline.generators.draw.points import PointPattern, draw_points
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.points import PointTable, talks_of_points
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.problem import Problem

seeds = st.integers(0, 10**6).map(random.Random)
spans = st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 2000) | st.just(10**9)).map(
    lambda pair: (pair[0], sum(pair))
)
Points = list[tuple[int, int]]


def cross(one: tuple[int, int], two: tuple[int, int], three: tuple[int, int]) -> int:
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])


def on_one_line(points: Points) -> bool:
    """Say whether all of several different points are on one line."""
    first, *others = dict.fromkeys(points)
    return len(others) > 1 and all(cross(first, others[0], point) == 0 for point in others)


def three_on_a_line(points: Points) -> bool:
    return any(cross(*three) == 0 for three in combinations(points, 3))


def are_corners(points: Points) -> bool:
    """Say whether all points are corners of the polygon around them, and none is on a side of it."""
    found = sorted(set(points))

    def half(points: Points) -> Points:
        hull: Points = []
        for point in points:
            while len(hull) > 1 and cross(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    return len(found) > 2 and len(half(found) + half(found[::-1])) == len(points)


@given(st.sampled_from(PointPattern), st.integers(0, 60), spans, spans, seeds)
def test_points_are_as_many_as_asked_for_and_within_limits(
    figure: PointPattern, count: int, x: tuple[int, int], y: tuple[int, int], rng: random.Random
) -> None:
    points = draw_points(figure, count, x, y, rng)
    assert len(points) == count
    assert all(x[0] <= one <= x[1] and y[0] <= other <= y[1] for one, other in points)


@given(st.sampled_from(PointPattern), st.integers(5, 30), st.integers(100, 10**9), seeds)
def test_points_differ_where_there_is_room(figure: PointPattern, count: int, reach: int, rng: random.Random) -> None:
    points = draw_points(figure, count, (-reach, reach), (-reach, reach), rng)
    if figure not in (PointPattern.AXIS, PointPattern.CORNERS):  # those are drawn
        assert len(set(points)) == count


@given(st.integers(5, 30), st.integers(100, 10**9), seeds)
def test_figures_are_what_they_say(count: int, reach: int, rng: random.Random) -> None:
    def drawn(figure: PointPattern) -> Points:
        return draw_points(figure, count, (-reach, reach), (-reach, reach), rng)

    assert on_one_line(drawn(PointPattern.LINE))
    near = drawn(PointPattern.NEAR_LINE)
    assert not on_one_line(near)
    assert any(on_one_line(near[:index] + near[index + 1 :]) for index in range(count))
    assert any(all(point[at] == 0 for point in drawn(PointPattern.AXIS)) for at in (0, 0, 0, 0, 1, 1, 1, 1))
    assert not three_on_a_line(drawn(PointPattern.NO_THREE))
    assert are_corners(drawn(PointPattern.CONVEX))
    assert {(reach, reach), (-reach, reach), (reach, -reach), (-reach, -reach)} <= set(drawn(PointPattern.CORNERS))
    xs = {one for one, _ in drawn(PointPattern.GRID)}
    assert len(xs) <= int(count**0.5) + 1


@given(st.integers(4, 48), seeds)
def test_points_on_a_circle_have_the_same_distance_from_its_middle(count: int, rng: random.Random) -> None:
    points = draw_points(PointPattern.CIRCLE, count, (-(10**6), 10**6), (-(10**6), 10**6), rng)
    assert len({one * one + other * other for one, other in points}) == 1


def test_a_large_polygon_and_many_points_without_three_on_a_line_take_no_time() -> None:
    for figure in (PointPattern.CONVEX, PointPattern.NO_THREE):
        points = draw_points(figure, 10**5, (-(10**9), 10**9), (-(10**9), 10**9), random.Random(1))
        assert len(set(points)) == 10**5
        if figure is PointPattern.CONVEX:
            assert are_corners(points)


# -- learning ------------------------------------------------------------------------------------------


def found_in(what: Problem) -> tuple[PointTable, ...]:
    found = knowledge_of(what)
    assert found is not None
    return found.points


def test_columns_that_are_points() -> None:
    anywhere = problem("3\n0 0\n-4 5\n7 -1\n", "2\n1 2\n3 -3\n")
    assert found_in(anywhere) == (PointTable(1, 2),)
    positive = problem("3\n0 0\n4 5\n7 1\n", "2\n1 2\n3 3\n")
    assert found_in(positive) == ()
    assert found_in(replace(positive, statement="Line i has the coordinates of the i-th house.")) == (PointTable(1, 2),)


def test_columns_that_are_no_points() -> None:
    text = "There are roads on the plane, with their coordinates."
    intervals = problem("3\n-1 5\n-4 5\n1 7\n", "2\n1 2\n3 6\n")
    assert found_in(replace(intervals, statement=text)) == ()
    edges = problem("4 3\n1 2\n4 3\n2 4\n", "3 1\n3 1\n")
    assert found_in(replace(edges, statement=text)) == ()
    names = problem("2\nab 5\ncd 6\n", "1\nx 7\n")
    assert found_in(replace(names, statement=text)) == ()


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("n points in the plane", True),
        ("two integers $x_i$ and $y_i$", True),
        ("the co-ordinates (x, y)", True),
        ("a score of 100 points at this point", False),
        ("maximum and example", False),
    ],
)
def test_talk_of_points(text: str, points: bool) -> None:
    assert talks_of_points(text) is points


HOUSES = problem(
    "3\n0 0\n-4 5\n9 -1\n",
    "4\n1 2\n3 -3\n1 1\n-2 2\n",
    validator="assert 1 <= n <= 2000\nassert -10**9 <= x <= 10**9 and -10**9 <= y <= 10**9\nassert len(set(p)) == n",
)


@cache
def houses(seed: int) -> list[Points]:
    """Return the valid ones of sixty inputs."""
    found = []
    for made in MutateGenerator().propose(HOUSES, random.Random(seed), 60):
        (n,), *rows = [tuple(map(int, line.split())) for line in made.data.decode().splitlines()]
        points = [(row[0], row[1]) for row in rows]
        if n == len(set(points)) and all(max(map(abs, point)) <= 10**9 for point in points):
            found.append(points)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_come_early(seed: int) -> None:
    assert len(houses(seed)) >= 48  # 42 to 49 when nothing was known of points
    several = [points for points in houses(seed)[:45] if len(points) > 4]
    assert any(on_one_line(points) for points in several)
    assert any(are_corners(points) for points in several)
    assert any(len(points) < 50 and not three_on_a_line(points) for points in several)
    corners = {(one, other) for one in (-(10**9), 10**9) for other in (-(10**9), 10**9)}
    assert any(corners <= set(points) for points in several)
    assert any(all(point[at] == 0 for point in points) for points in several for at in (0, 1))
    assert any(len({one for one, _ in points}) <= len(points) // 2 and len(points) > 8 for points in several)
