"""`p2c` with Envoy's draws: chances that follow from counting, at p = 0.001 or far beyond, with a fixed seed."""

import random
from collections import Counter
from typing import Any

import pytest
from balancer_strategies.p2c import P2c

from balancer.endpoint import Endpoint
from balancer.strategy import Request
from balancer.testing.nodes import WritableNode

_COUNT = 10_000


def shares(in_flight: list[int], by: list[float], request: Request | None = None, **options: Any) -> list[float]:
    """Return the part of picks of each endpoint, with so many calls in flight at every pick."""
    strategy = P2c(P2c.Options(**options), random.Random(3))
    for number, (calls, weight) in enumerate(zip(in_flight, by, strict=True)):
        node = WritableNode(Endpoint(f"e{number}", capacity=1000, weight=weight))
        node.limit, node.in_flight = 1000, calls
        strategy.join(node, 0.0)
    picked = Counter[str]()
    for _ in range(_COUNT):
        node_picked = strategy.pick(request or Request(), 0.0)
        assert node_picked is not None
        picked[node_picked.endpoint.url] += 1
    return [picked[f"e{number}"] / _COUNT for number in range(len(in_flight))]


def test_a_user_of_envoy_finds_his_numbers() -> None:
    found = shares([0, 0, 10], [1.0, 1.0, 1.0], replacement=True)
    assert found == pytest.approx([4 / 9, 4 / 9, 1 / 9], abs=0.018)  # 3.6 deviations of 0.005
    assert shares([0, 0, 10], [1.0, 1.0, 1.0])[2] == 0.0


def test_by_weight_a_draw_is_by_weight_and_the_load_is_not() -> None:
    assert shares([0, 0], [3.0, 1.0], weights="draw", choices=1) == pytest.approx([0.75, 0.25], abs=0.018)
    # Twice by weight: the one with a call is chosen if it is drawn both times.
    found = shares([1, 0], [3.0, 1.0], weights="draw", replacement=True)
    assert found == pytest.approx([9 / 16, 7 / 16], abs=0.018)
    assert shares([1, 0], [3.0, 1.0], weights="draw") == [0.0, 1.0]


def test_what_does_not_fit_is_not_drawn() -> None:
    request = Request(exclude=frozenset({"e0"}))
    found = shares([0, 0, 10], [1.0, 1.0, 1.0], request, replacement=True)
    assert found == pytest.approx([0.0, 0.75, 0.25], abs=0.018)
