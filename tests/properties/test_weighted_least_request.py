"""`weighted_least_request`, held against its definition: a chance by weight / (in-flight + 1) ** bias.

The exact chances are worked out here by enumeration.
"""

import random
from collections.abc import Iterable
from collections.abc import Sequence as Listed

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Node, Request
from tests.properties.chances import Excess, assert_follows, by_weight
from tests.properties.driven import Driven

_NAME = "weighted_least_request"
_FIVE = "abcde"
_MANY = 1000  # a capacity that is never reached


def left_of(node: Node, bias: float = 1.0) -> float:
    return node.weight / (node.in_flight + 1) ** bias


def driven(
    weights: Iterable[float],
    *,
    in_flight: Listed[int] = (0,) * 5,
    capacities: Listed[int] = (_MANY,) * 5,
    bias: float = 1.0,
    seed: int = 1,
) -> Driven:
    pool = Driven(_NAME, [], options={"bias": bias}, seed=seed)
    for url, weight, leases, capacity in zip(_FIVE, weights, in_flight, capacities, strict=False):
        pool.join(Endpoint(url, weight=weight, capacity=capacity), in_flight=leases)
    return pool


def one_by_one(pool: Driven, count: int, request: Request = ANY) -> list[str]:
    urls = []
    for _ in range(count):
        url = pool.take(request)
        assert url is not None
        pool.give(url)
        urls.append(url)
    return urls


@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("weights", "in_flight"),
    [
        ((1.0,) * 5, (0, 0, 0, 0, 0)),
        ((1.0,) * 5, (0, 1, 2, 3, 4)),
        ((3.0, 2.0, 1.0, 1.0, 0.7), (0, 0, 0, 0, 0)),
        ((3.0, 2.0, 1.0, 1.0, 0.7), (2, 1, 0, 3, 1)),
        ((1.0, 1.0), (3, 0)),
        ((1e-9, 3e-9, 2e-9), (0, 1, 0)),
    ],
)
def test_a_chance_is_the_weight_left_by_that_of_all(weights, in_flight, bias):
    pool = driven(weights, in_flight=in_flight, bias=bias)
    expected = by_weight({url: left_of(node, bias) for url, node in pool.nodes.items()})
    assert_follows(one_by_one(pool, 5000), expected)


@pytest.mark.parametrize("exclude", ["", "b"])
@pytest.mark.parametrize("bias", [1.0, 2.0])
def test_chances_hold_whatever_happens_in_between(bias, exclude):
    """Leases of several slots come and go, limits fall to 0 and come back, weights change, slots are kept."""
    pool, rng = driven((1.0, 2.0, 3.0, 1.5, 0.3), capacities=(2, 1, 6, 4, 3), bias=bias), random.Random(4)
    out: list[tuple[str, int]] = []
    excess = Excess()
    for _ in range(12_000):
        move, url = rng.random(), rng.choice(_FIVE)
        node = pool.nodes[url]
        if move < 0.5:
            request = Request(exclude=frozenset(exclude), slots=rng.choice((1, 1, 1, 2)))
            left = {u: left_of(n, bias) for u, n in pool.nodes.items() if request.fits(n)}
            before = {u: n.in_flight for u, n in pool.nodes.items()}
            chosen = pool.take(request)
            if chosen is not None:
                out.append((chosen, pool.nodes[chosen].in_flight - before[chosen]))
                excess.add(chosen, by_weight(left))
        elif move < 0.9 and out:
            given, slots = out.pop(rng.choice((0, -1)))
            pool.give(given, slots=slots)
        elif move < 0.93:
            pool.change(url, limit=rng.choice((0, node.endpoint.capacity)))
        elif move < 0.96:
            pool.change(url, weight=rng.choice((0.1, 1.0, 2.5)))
        elif node.in_flight < node.limit:  # a slot is kept for one who waits for several; it ends like a lease
            pool.change(url, in_flight=node.in_flight + 1)
            out.append((url, 1))
    excess.check(5 - len(exclude))
