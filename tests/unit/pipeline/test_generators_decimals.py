"""Numbers with decimals, and sums and products next to what 32 and 64 bits hold: drawn within limits, and early."""

import random
from decimal import Decimal
from functools import cache
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generators_mutate import problem

from balancer.pipeline.generators.draw.values import DrawLimits, How, Where, draw_decimals, draw_numbers
from balancer.pipeline.generators.mutate import MutateGenerator

seeds = st.integers(0, 10**6).map(random.Random)


@given(
    st.integers(0, 20),
    st.integers(-1000, 1000),
    st.integers(0, 10**6),
    st.integers(0, 12),
    st.sampled_from(Where),
    st.sampled_from(How),
    seeds,
)
def test_decimals_are_as_many_as_asked_for_and_within_limits(
    count: int, low: int, width: int, decimals: int, where: Where, how: How, rng: random.Random
) -> None:
    limits = DrawLimits(low, low + width, low, low + width)
    values = draw_decimals(count, limits, decimals, where, how, rng)
    assert len(values) == count
    assert all(low * 10**decimals <= value <= (low + width) * 10**decimals for value in values)


HEIGHTS = problem(
    "3\n1.25 2.50 0.10\n",
    "2\n7.00 3.33\n",
    "1\n4.20\n",
    validator="assert 1 <= n <= 1000\nassert all(0 <= x <= 10000 for x in a)",
)


@cache
def heights(seed: int) -> list[list[Decimal]]:
    made = MutateGenerator().propose(HEIGHTS, random.Random(seed), 60)
    return [list(map(Decimal, each.data.decode().split()[1:])) for each in made]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_halves_neighbours_and_bounds_come_early(seed: int) -> None:
    lists = [values for values in heights(seed) if values]
    assert sum(all(0 <= value <= 10000 for value in values) for values in lists) >= 50
    assert all(str(value) == f"{value:.2f}" for values in lists for value in values)  # as they were written
    unit = Decimal("0.01")
    assert any(len(set(values)) > 1 and max(values) - min(values) <= 2 * unit for values in lists)
    assert any(value % 1 == Decimal("0.5") for values in lists for value in values)
    assert any(value in (unit, 1 - unit, 1 + unit, 10000 - unit) for values in lists for value in values)
    assert any(10000 in values for values in lists)


def test_values_whose_sum_or_product_is_next_to_what_bits_hold() -> None:
    limits, near = DrawLimits(1, 10**19, 1, 9), (2**31, 2**32, 2**63)
    drawn = [draw_numbers(2, limits, Where.OVERFLOW, How.RANDOM, random.Random(seed)) for seed in range(60)]
    for combined in (sum, prod):
        values = [combined(pair) for pair in drawn]
        for power in near:
            assert any(abs(value - power) <= power / 1000 for value in values), (combined, power)
    many = [draw_numbers(10, limits, Where.OVERFLOW, How.RANDOM, random.Random(seed)) for seed in range(60)]
    assert any(2**62 < prod(values) < 2**65 for values in many)
    assert any(2**62 < sum(values) < 2**65 for values in many)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_lists_that_overflow_come_early(seed: int) -> None:
    what = problem("3\n1 2 8\n", "2\n7 1\n", validator="assert 1 <= n <= 1000\nassert all(1 <= x <= 10**9 for x in a)")
    made = [each.data.split()[1:] for each in MutateGenerator().propose(what, random.Random(seed), 40)]
    small = [list(map(int, tokens)) for tokens in made if 1 < len(tokens) < 20]
    near = (2**31, 2**32, 2**63)
    found = [combined(values) / power for values in small for combined in (sum, prod) for power in near]
    assert any(0.9 < share < 1.1 for share in found)
