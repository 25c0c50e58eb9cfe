"""`c3`, held against its definition: (R - s + q^3 s) / weight, of a few drawn."""

from collections import Counter

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import Node
from tests.properties.call_history import History, hold_against
from tests.properties.driven import Driven


def rank(pool: Driven, history: History, node: Node) -> float:
    url, queue = node.endpoint.url, node.in_flight + 1
    response_s = history.expected_s(node, history.mean_s(url), pool.now)
    service_s = history.mean_s(url, lambda end: end.counted_s / end.out) or response_s
    if queue == 1:  # then the service time is gone from the sum, faded or not
        return response_s / node.weight
    return (response_s - service_s + queue**3 * service_s) / node.weight


@pytest.mark.parametrize("choices", [1, 2, 3, 100])
@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices, seed):
    hold_against("c3", rank, choices=choices, seed=seed)


def pair(clients: int = 1, **took_s: float) -> Driven:
    """Return two endpoints that are known to take so long, with nothing else out."""
    pool = Driven("c3", [Endpoint(url, capacity=1000) for url in took_s], options={"choices": 2, "clients": clients})
    for url, seconds in took_s.items():
        pool.change(url, in_flight=1)
        pool.give(url, seconds)
    return pool


def queues(pool: Driven, leases: int) -> Counter[str | None]:
    return Counter(pool.take() for _ in range(leases))


def test_one_that_serves_side_by_side_is_not_taken_for_slow():
    """Eight calls of 0.8 s at once end as often as single ones of 0.1 s: s is 0.1 s for both."""
    pool = pair(a=0.1, b=0.1)
    pool.leave("b")
    pool.join(Endpoint("b", capacity=1000), in_flight=8)
    for _ in range(8):
        pool.change("b", in_flight=8)
        pool.give("b", 0.8)
    pool.change("b", in_flight=0)
    found = queues(pool, 600)
    assert found["a"] / found["b"] == pytest.approx(1.0, rel=0.03)


def test_with_more_clients_each_lease_counts_for_as_many():
    """With a second out, q is 2 for one pool and 101 for a hundred: then nobody gets a second before the other's first,
    however slow it is."""
    assert queues(pair(a=5.0, b=1.0), 2) == {"b": 1, "a": 1}
    assert queues(pair(a=50.0, b=1.0), 2) == {"b": 2}
    assert queues(pair(100, a=50.0, b=1.0), 2) == {"b": 1, "a": 1}
