"""`p2c`, held against its definition: of `choices` distinct endpoints, the least (in-flight + 1) / weight.

The exact chance of each endpoint follows from counting all draws in all orders.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Listed
from itertools import permutations

import pytest
from balancer_strategies.p2c import P2c
from hypothesis import settings

from balancer.endpoint import Endpoint
from balancer.strategy import Node, Request
from balancer.testing.conformance import SETTINGS, StrategyMachine, check_strategy
from tests.properties.chances import assert_follows, only
from tests.properties.sequence import Sequence

_FIVE = "abcde"
_MANY = 1000  # a capacity that is never reached


class _LeastOfDraws(StrategyMachine):
    """As many as were drawn have no less load, with the lease, than the one picked, itself included."""

    choices = 2

    def picked(self, request: Request, node: Node, fitting: Listed[Node]) -> None:
        loads = [(each.in_flight + 1) / each.weight for each in fitting]
        beaten = sum(load >= (node.in_flight + 1) / node.weight for load in loads)
        assert beaten >= min(self.choices, len(loads)), f"{node} was picked, and the loads were {loads}"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("choices", [1, 2, 3, 100])
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices):
    """With 100 choices all are drawn, and the rule is that of `least_in_flight`."""
    machine = type("_Least", (_LeastOfDraws,), {"choices": choices})
    check_strategy(P2c, options={"choices": choices}, machine=machine, settings=settings(SETTINGS, max_examples=60))


# -- chances ---------------------------------------------------------------------------------------


def chances(loads: Mapping[str, float], choices: int) -> dict[str, float]:
    """Return the chance of each: its part of all ordered draws, where the first of the least wins."""
    draws = list(permutations(loads, min(choices, len(loads))))
    won = Counter(min(draw, key=loads.__getitem__) for draw in draws)
    return {url: won[url] / len(draws) for url in loads}


def sequence_of(
    in_flight: Listed[int],
    *,
    weights: Listed[float] = (1.0,) * 5,
    capacities: Listed[int] = (_MANY,) * 5,
    choices: int = 2,
    seed: int = 1,
) -> Sequence:
    """Return five endpoints, or fewer, with so many leases out."""
    named = list(zip(_FIVE, in_flight, weights, capacities, strict=False))
    specs = [Endpoint(url, weight=weight, capacity=capacity) for url, _, weight, capacity in named]
    calls = Sequence("p2c", specs, options={"choices": choices}, seed=seed)
    for url, leases, *_ in named:
        for _ in range(leases):
            calls.take(only(url, _FIVE))
    return calls


def loads_of(in_flight: Listed[int], weights: Listed[float] = (1.0,) * 5) -> dict[str, float]:
    return {url: (leases + 1) / weight for url, leases, weight in zip(_FIVE, in_flight, weights, strict=False)}


@pytest.mark.parametrize("choices", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(
    ("in_flight", "weights"),
    [
        ((0, 0, 0, 0, 0), (1.0,) * 5),
        ((0, 1, 2, 3, 4), (1.0,) * 5),
        ((1, 0, 1, 0, 3), (1.0,) * 5),
        ((0, 0, 0, 0, 0), (3.0, 2.0, 1.0, 1.0, 0.5)),
        ((2, 1, 0, 3, 0), (3.0, 2.0, 1.0, 1.0, 0.5)),
        ((1, 0), (1.0,) * 5),
    ],
)
def test_chances_are_those_of_distinct_draws(in_flight, weights, choices):
    found = sequence_of(in_flight, weights=weights, choices=choices).calls(4000)
    assert_follows(found, chances(loads_of(in_flight, weights), choices))


# -- a pool that changes ---------------------------------------------------------------------------
