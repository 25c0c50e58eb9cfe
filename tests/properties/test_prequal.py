"""`prequal`, held against its definition: the fastest of the cold, else the least busy of the hot, of a few drawn."""

import pytest

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
