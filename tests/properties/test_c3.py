"""`c3`, held against its definition: (R - s + q^3 s) / weight, of a few drawn."""

from functools import partial

import pytest

from balancer.strategy import Node
from tests.properties.call_history import History, hold_against
from tests.properties.driven import Driven


def rank(pool: Driven, history: History, node: Node, clients: int) -> float:
    url, queue = node.endpoint.url, node.in_flight * clients + 1
    response_s = history.expected_s(node, history.mean_s(url), pool.now)
    service_s = history.mean_s(url, lambda end: end.counted_s / end.out) or response_s
    if queue == 1:  # then the service time is gone from the sum, faded or not
        return response_s / node.weight
    return (response_s - service_s + queue**3 * service_s) / node.weight


@pytest.mark.parametrize("choices", [1, 2, 3, 100])
@pytest.mark.parametrize("clients", [1, 100])
@pytest.mark.parametrize("seed", range(2))
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices, clients, seed):
    hold_against("c3", partial(rank, clients=clients), choices=choices, seed=seed, clients=clients)
