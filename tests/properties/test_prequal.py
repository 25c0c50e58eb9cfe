"""`prequal`, held against its definition: the fastest of the cold, else the least busy of the hot, of a few drawn."""

import pytest

from balancer.endpoint import Endpoint, Outcome
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
def test_nobody_is_chosen_who_cannot_have_been_the_least_of_the_draws(choices: int, quantile: float, seed: int) -> None:
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


def test_the_fastest_of_the_cold_is_next() -> None:
    """Of seven, 84% of the way is the sixth: a is hot, as six has fewer out, and b is not."""
    assert known(dict(zip("abcdefg", (6, 5, 4, 3, 2, 1, 0), strict=True)), _TOOK_S).take() == "b"


def test_where_all_have_the_same_out_all_are_cold() -> None:
    assert known(dict.fromkeys("abcdefg", 3), _TOOK_S).take() == "a"


def test_where_all_that_have_room_are_hot_the_least_in_flight_is_next() -> None:
    """The two idle ones are full: their limit is cut to 1, with a slot kept."""
    pool = known({"a": 4, "b": 3, "c": 1, "d": 1, "e": 1}, _TOOK_S, quantile=0.5)
    for url in "cde":
        pool.change(url, limit=1)
    assert pool.take() == "b"


def test_who_is_out_of_service_is_not_counted_among_the_idle() -> None:
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


def test_at_0_in_flight_alone_counts_and_at_1_call_times_alone() -> None:
    in_flight = {"a": 3, "b": 2, "c": 1, "d": 0}
    assert known(in_flight, _TOOK_S, quantile=0.0).take() == "d"
    assert known(in_flight, _TOOK_S, quantile=1.0).take() == "a"


def test_in_a_pair_the_busier_is_hot() -> None:
    assert known({"a": 1, "b": 0}, _TOOK_S).take() == "b"


def test_who_failed_last_comes_after_the_hot_until_it_has_been_left_alone() -> None:
    """Idle as it is, it would come before all that are hot."""
    pool = known({"a": 5, "b": 4, "c": 4, "d": 0}, _TOOK_S, quantile=0.0)
    pool.change("d", in_flight=1)
    pool.give("d", 0.001, Outcome.FAILURE)
    assert pool.take() in "bc"
    pool.now += DECAY_S
    assert pool.take() == "d"
    assert pool.take() in "bc"  # one call finds out


def test_a_success_makes_up_for_a_failure() -> None:
    pool = known({"a": 5, "b": 4, "d": 0}, _TOOK_S, quantile=0.0)
    for outcome, chosen in ((Outcome.FAILURE, "b"), (Outcome.IGNORED, "b"), (Outcome.SUCCESS, "d")):
        pool.change("d", in_flight=1)
        pool.give("d", 0.1, outcome)
        assert pool.take() == chosen
