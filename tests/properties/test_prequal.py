"""`prequal`, held against its definition: the fastest of the cold, else the least busy of the hot, of a few drawn."""

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import Node
from tests.properties.call_history import DECAY_S, History, hold_against
from tests.properties.driven import Driven

_HOT, _FAILING = 1e9, 1e12  # above any other load in these tests


def load_at(quantile: float, pool: Driven, history: History, node: Node) -> float:
    """Return the load as one number: the hot above the cold, those that fail above the hot."""
    ends = [end for end in history.ends[node.endpoint.url] if end.informed]
    last = history.ends[node.endpoint.url][-1:]
    failed = bool(ends) and ends[-1].failed
    if failed and (node.in_flight or pool.now < last[0].now + DECAY_S):
        return _FAILING * (node.in_flight + 1) / node.weight
    in_flights = sorted(other.in_flight for other in pool.nodes.values() if other.limit)
    if node.in_flight > in_flights[int(quantile * (len(in_flights) - 1))]:
        return _HOT * (node.in_flight + 1) / node.weight
    return history.expected_s(node, history.mean_s(node.endpoint.url), pool.now) / node.weight


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.84, 1.0])
@pytest.mark.parametrize("choices", [1, 2, 100])
@pytest.mark.parametrize("seed", range(2))
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices, quantile, seed):
    def load(pool: Driven, history: History, node: Node) -> float:
        return load_at(quantile, pool, history, node)

    hold_against("prequal", load, choices=choices, seed=seed, quantile=quantile)


def known(in_flight: dict[str, int], took_s: dict[str, float], **options: float) -> Driven:
    """Return endpoints that are known to take so long, with so many leases out, all compared."""
    pool = Driven("prequal", [Endpoint(url, capacity=100) for url in in_flight], options={"choices": 100, **options})
    for url, leases in in_flight.items():
        pool.change(url, in_flight=1)
        pool.give(url, took_s[url])
        pool.change(url, in_flight=leases)
    return pool


_TOOK_S = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5, "f": 0.6, "g": 0.7}


def test_the_fastest_of_the_cold_is_next():
    """Of seven, 84% of the way is the sixth: a is hot, as six has fewer out, and b is not."""
    assert known(dict(zip("abcdefg", (6, 5, 4, 3, 2, 1, 0), strict=True)), _TOOK_S).take() == "b"


def test_who_is_out_of_service_is_not_counted_among_the_idle():
    """Were they, half of the five would have none out, and a and b would be hot and tie."""
    pool = known({"a": 2, "b": 2, "c": 0, "d": 0, "e": 0}, _TOOK_S, quantile=0.5)
    for url in "cde":
        pool.change(url, limit=0)
    for _ in range(10):
        assert pool.take() == "a"
        pool.change("a", in_flight=2)
    for url in "cde":
        pool.change(url, limit=100)
    assert pool.take() == "c"
