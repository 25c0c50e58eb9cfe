"""`peak_ewma`, held against its definition: max(call time, decayed mean) x (in-flight + 1) / weight, of a few drawn."""

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import Node
from tests.properties.call_history import History, hold_against
from tests.properties.driven import Driven


def load(pool: Driven, history: History, node: Node) -> float:
    known_s = history.peak_s(node.endpoint.url)
    return history.expected_s(node, known_s, pool.now) * (node.in_flight + 1) / node.weight


@pytest.mark.parametrize("choices", [1, 2, 3, 100])
@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices, seed):
    hold_against("peak_ewma", load, choices=choices, seed=seed)


def pair() -> Driven:
    """Return two endpoints that are known to take 0.1 s."""
    pool = Driven("peak_ewma", [Endpoint(url, capacity=100) for url in "ab"], options={"choices": 2})
    pool.calls(20)
    return pool


def test_calls_that_hang_do_not_make_it_look_better_as_time_passes():
    """In Finagle and tower the cost fades meanwhile, so that after a minute 0.1 s x 6 would have become 1.5 ms."""
    pool = pair()
    pool.change("a", in_flight=5)
    for _ in range(60):
        pool.now += 1.0
        assert pool.take() == "b"
        pool.now += 0.1
        pool.give("b", 0.1)
