"""`random`, held against its definition: the chance of a free endpoint is its weight by that of all free ones."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Listed

import pytest
from balancer_strategies.random import Random

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Node, Request, StrategyOptions
from tests.properties.chances import Counting, assert_follows, assert_holds_however_they_come_and_go, by_weight, only
from tests.properties.sequence import Sequence

_WEIGHTS = {"a": 5.0, "b": 3.0, "c": 1.0, "d": 0.3, "e": 0.3}  # of each strip another part counts


def sequence_of(weights: Mapping[str, float], *, capacity: int = 1, seed: int = 1) -> Sequence:
    return Sequence("random", [Endpoint(u, weight=w, capacity=capacity) for u, w in weights.items()], seed=seed)


def chances(weights: Mapping[str, float], admitted: Iterable[str]) -> dict[str, float]:
    return by_weight({url: weights[url] for url in admitted})


# -- chances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [
        {f"e{n}": 1.0 for n in range(10)},
        {f"e{n}": 3.0 for n in range(10)},  # a quarter of each strip does not count
        {"a": 2.0, "b": 1.0},
        _WEIGHTS,
        {"a": 1.0, "b": 1.0 + 2**-52},  # just above a power of two
        {"a": 1000.0, "b": 1.0, "c": 1.0, "d": 2.5},
        {"a": 1e-9, "b": 3e-9, "c": 2e-9},
    ],
)
def test_a_chance_is_the_weight_by_that_of_all(weights):
    assert_follows(sequence_of(weights).calls(6000), chances(weights, weights))


def test_a_choice_does_not_depend_on_the_one_before():
    weights = {"a": 3.0, "b": 2.0, "c": 1.0}
    urls, of_one = sequence_of(weights, seed=2).calls(9000), chances(weights, weights)
    of_two = {(u, v): of_one[u] * of_one[v] for u in weights for v in weights}
    assert_follows(zip(urls[::2], urls[1::2], strict=True), of_two)


@pytest.mark.parametrize("admitted", ["bcde", "ab", "de"])
def test_chances_among_the_admitted(admitted):
    """With d and e admitted, of weight 0.6 in 9.6, 8 darts fail six times in ten and the scan comes after."""
    found = sequence_of(_WEIGHTS).calls(6000, request=only(admitted, _WEIGHTS))
    assert_follows(found, chances(_WEIGHTS, admitted))


# -- a pool that changes ---------------------------------------------------------------------------


@pytest.mark.parametrize("exclude", ["", "b"])
def test_chances_hold_however_endpoints_come_and_go(exclude):
    capacities = dict(zip(_WEIGHTS, (1, 2, 1, 3, 1), strict=True))
    calls = Sequence("random", [Endpoint(u, weight=w, capacity=capacities[u]) for u, w in _WEIGHTS.items()], seed=4)
    assert_holds_however_they_come_and_go(
        calls, lambda free: chances(_WEIGHTS, free), capacities=capacities, exclude=exclude, steps=8000
    )


# -- what it costs ---------------------------------------------------------------------------------


def _nodes(weights: Listed[float]) -> list[Node]:
    """Return nodes that stay free when they are picked, as nothing is counted here."""
    return [Node(Endpoint(f"e{n}", weight=weight, capacity=2)) for n, weight in enumerate(weights)]


def darts(weights: Listed[float]) -> float:
    """Return how many darts a choice takes, by the mean of 2000."""
    rng = Counting(5)
    strategy = Random(StrategyOptions(), rng)
    for node in _nodes(weights):
        strategy.join(node, 0.0)
    for _ in range(2000):
        assert strategy.pick(ANY, 0.0) is not None
    return rng.drawn / 2000


@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
def test_a_choice_takes_less_than_two_darts_whatever_the_weights(spread):
    """More than half of each strip counts, so the darts are geometric with mean < 2 and deviation < 1.5. The
    mean of 2000 is below 2 + 4 x 1.5 / sqrt(2000)."""
    weigh = random.Random(5)
    assert darts([weigh.lognormvariate(0.0, spread) for _ in range(300)]) < 2.14


@pytest.mark.parametrize("request_", [ANY, Request(exclude=frozenset(["e0"]))])
def test_weights_at_the_ends_of_what_a_float_can_be(request_):
    strategy = Random(StrategyOptions(), random.Random(6))
    nodes = _nodes([5e-324, 1.7e308, 1.7e308, 1e-300, 10**290])
    for node in nodes:
        strategy.join(node, 0.0)
    picked = Counter(strategy.pick(request_, 0.0) for _ in range(2000))
    assert set(picked) == {nodes[1], nodes[2]}
    for node in nodes[1:3] + nodes[4:]:
        strategy.leave(node, 0.0)
    assert {strategy.pick(request_, 0.0) for _ in range(10)} == {nodes[3]}
