"""`weighted_least_request`, held against its definition: a chance by weight / (in-flight + 1) ** bias."""

import random

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import Node, Request
from tests.properties.chances import Excess, by_weight
from tests.properties.driven import Driven

_FIVE = "abcde"


def left_of(node: Node, bias: float) -> float:
    return node.weight / (node.in_flight + 1) ** bias


@pytest.mark.parametrize("exclude", ["", "b"])
@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0, 2.0])
def test_chances_hold_whatever_happens_in_between(bias, exclude):
    """Leases of several slots come and go, limits fall to 0 and come back, weights change, slots are kept."""
    weights, capacities = (1.0, 2.0, 3.0, 1.5, 0.3), (2, 1, 6, 4, 3)
    specs = [Endpoint(u, weight=w, capacity=c) for u, w, c in zip(_FIVE, weights, capacities, strict=True)]
    pool, rng = Driven("weighted_least_request", specs, options={"bias": bias}, seed=1), random.Random(4)
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
