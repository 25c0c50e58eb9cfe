"""Drawing values, graphs and mended lists: always within limits, whatever is asked for."""

import random
from collections import Counter
from itertools import islice, pairwise, repeat
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.draw.fill import TooLarge
from balancer.pipeline.generators.draw.graphs import Shape, draw_edges
from balancer.pipeline.generators.draw.styles import Style, large_styles, telling_styles
from balancer.pipeline.generators.draw.values import (
    DrawLimits,
    How,
    Where,
    draw_number,
    draw_numbers,
    draw_words,
)
from balancer.pipeline.generators.learn.edges import is_connected
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.build import build_changed, build_styled
from tests.unit.pipeline.knowing import known, problem

bounds = st.tuples(st.integers(-(10**19), 10**19), st.integers(0, 10**19)).map(lambda pair: (pair[0], sum(pair)))
seeds = st.integers(0, 10**6).map(random.Random)


@st.composite
def limits(draw: st.DrawFn) -> DrawLimits:
    low, high = draw(bounds | st.sampled_from([(1, 1), (1, 10**5), (-(10**9), 10**9), (0, 2**31)]))
    seen = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
    return DrawLimits(low, high, *seen)


@given(limits(), st.sampled_from(Where), st.sampled_from(How), st.integers(0, 30), seeds)
def test_numbers_are_as_many_as_asked_for_and_within_limits(allowed, where, how, count, rng):
    values = draw_numbers(count, allowed, where, how, rng)
    assert len(values) == count
    assert all(allowed.low <= value <= allowed.high for value in values)
    assert allowed.low <= draw_number(allowed, where, rng) <= allowed.high


def test_where_values_lie():
    rng, allowed = random.Random(1), DrawLimits(1, 10**9, 3, 8)
    drawn = {where: draw_numbers(200, allowed, where, How.RANDOM, rng) for where in Where}
    assert set(drawn[Where.LOW]) == {1}
    assert set(drawn[Where.HIGH]) == {10**9}
    assert max(drawn[Where.TINY]) <= 10
    assert len(set(drawn[Where.TOP])) > 1
    assert 10**9 - 9 <= min(drawn[Where.TOP]) < max(drawn[Where.TOP]) == 10**9
    assert set(drawn[Where.SEEN]) == {3, 4, 5, 6, 7, 8}
    assert max(drawn[Where.FULL]) > 10**8
    assert len({len(str(value)) for value in drawn[Where.LOG]}) >= 7
    assert {2**16, 10**6, 561} & set(drawn[Where.EDGE])


def test_how_values_go_together():
    rng, allowed = random.Random(1), DrawLimits(1, 100, 1, 100)

    def drawn(how: How) -> list[int]:
        return draw_numbers(20, allowed, Where.FULL, how, rng)

    assert len(set(drawn(How.EQUAL))) == 1
    assert len(set(drawn(How.FEW))) <= 3
    assert sorted(Counter(drawn(How.ODD_ONE)).values()) in ([1, 19], [20])
    assert drawn(How.ALTERNATING) == [1, 100] * 10
    rising, falling = drawn(How.SORTED), drawn(How.REVERSED)
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert all(after - before in (1, -99) for before, after in pairwise(drawn(How.RAMP)))


@given(
    st.integers(1, 40),
    st.integers(0, 300),
    st.text("abcAB01.#é", min_size=1, max_size=6),
    st.sampled_from(Where),
    st.sampled_from(How),
    st.integers(1, 8),
    seeds,
)
def test_words_keep_to_their_letters_and_lengths(low, extra, letters, where, how, count, rng):
    allowed = DrawLimits(low, low + extra, low, low + extra)
    words = draw_words(count, letters, allowed, where, how, rng)
    assert len(words) == count
    assert all(low <= len(word) <= low + extra and set(word) <= set(letters) for word in words)


@given(st.sampled_from(Shape), st.integers(2, 12), st.data(), seeds)
def test_connected_simple_graphs_are_both(shape, nodes, data, rng):
    count = data.draw(st.integers(nodes - 1, nodes * (nodes - 1) // 2), label="edges")
    edges = draw_edges(shape, nodes, count, rng, simple=True, connected=True)
    assert is_connected(nodes, edges)
    crowded = count > nodes * (nodes - 1) // 4 or nodes < 4  # random edges may give up finding the last free ones
    assert crowded or len({frozenset(edge) for edge in edges}) == count


def test_all_words_together_are_no_longer_than_one_may_be():
    found = known("2\nab c\n", "3\na b cd\n", validator='s = token("[a-z]{1,100000}")\nassert n <= 1000')
    for _, data in islice(build_styled(found, large_styles(random.Random(1)), random.Random(1)), 3):
        assert len(data.split(b"\n")[1]) <= 101_000


# -- numbers with decimals, and next to what 32 and 64 bits hold -------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_lists_that_overflow_come_early(seed):
    what = problem("3\n1 2 8\n", "2\n7 1\n", validator="assert 1 <= n <= 1000\nassert all(1 <= x <= 10**9 for x in a)")
    made = [each.data.split()[1:] for each in MutateGenerator().propose(what, random.Random(seed), 40)]
    small = [list(map(int, tokens)) for tokens in made if 1 < len(tokens) < 20]
    near = (2**31, 2**32, 2**63)
    found = [combined(values) / power for values in small for combined in (sum, prod) for power in near]
    assert any(0.9 < share < 1.1 for share in found)


def test_streams_of_which_nothing_can_be_made_end(monkeypatch):
    """As for a sum of 22 of a hundred thousand positive numbers: styles and changes have no end of their own."""

    def impossible(*args: object) -> bytes:
        raise TooLarge

    found = known("2 3\n1 2\n", "1 4\n4\n")
    rng = random.Random(1)
    monkeypatch.setattr("balancer.pipeline.generators.write.build.build", impossible)
    assert list(build_styled(found, large_styles(rng), rng)) == []
    assert list(build_changed(found, (("a change", {}) for _ in repeat(None)), rng)) == []


def test_lists_without_repeats_lie_where_a_style_says():
    rules = "assert 1<=n<=50\nassert 1<=a<=1000\nlast=a # distinct, sorted"
    found = known("4\n1 2 5 9\n", "3\n2 3 7\n", validator=rules)

    def lists(style: Style) -> list[list[int]]:
        return [[*map(int, data.split())][1:] for _, data in build_styled(found, repeat(style, 20), random.Random(1))]

    made = {style.name: lists(style) for style in islice(large_styles(random.Random(1)), 5)}
    assert [*range(1, 51)] in made["most, without gaps"]
    assert [*range(951, 1001)] in made["most, greatest values"]
    assert [*range(1, 51)] not in made["most, anywhere"]
    top = next(style for style in telling_styles() if Where.TOP in style.where)
    assert all(1000 - 2 * len(values) - 2 < min(values) for values in lists(top)), "next to each other, with gaps"
