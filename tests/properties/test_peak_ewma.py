"""`peak_ewma`, held against its definition: max(call time, decayed mean) x (in-flight + 1) / weight, of a few drawn."""

import pytest

from balancer.strategy import Node
from tests.properties.call_history import History, hold_against
from tests.properties.driven import Driven


def load(pool: Driven, history: History, node: Node) -> float:
    known_s = history.peak_s(node.endpoint.url)
    return history.expected_s(node, known_s, pool.now) * (node.in_flight + 1) / node.weight


@pytest.mark.parametrize("choices", [1, 2, 3, 100])
@pytest.mark.parametrize("failure_factor", [10.0, 1000.0])
@pytest.mark.parametrize("seed", range(2))
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices, failure_factor, seed):
    hold_against("peak_ewma", load, choices=choices, seed=seed, failure_factor=failure_factor)
