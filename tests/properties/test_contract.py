"""Every registered strategy bears what the ledger may tell it, in any order.

A limit of 0 and back, as by ejection and probing; weights that grow, as by a slow start; leases of several slots; slots
that are kept and leased past the strategy. Throughout it picks only who can serve, and somebody if anybody can.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request
from balancer.testing.nodes import WritableNode
from tests.properties.books import Books
from tests.registered import NAMES

_URLS = "abcd"

_urls = st.sampled_from(_URLS)
_requests = st.builds(
    Request,
    st.frozensets(st.just("x"), max_size=1),
    st.frozensets(_urls, max_size=2),
    st.sampled_from((1, 1, 1, 2, 3)),
    st.sampled_from((None, "k", "l")),
)
_weights = st.sampled_from((0.1, 0.5, 1.0, 3.0, 1e-300, 1e300))
_specs = st.builds(
    Endpoint,
    _urls,
    capacity=st.integers(1, 4),
    weight=_weights,
    labels=st.frozensets(st.just("x"), max_size=1),
)
_moves = st.one_of(
    st.tuples(st.just("take"), st.one_of(st.just(Request()), _requests)),
    st.tuples(st.just("take"), st.one_of(st.just(Request()), _requests)),
    st.tuples(st.just("give"), st.tuples(st.integers(0, 9), st.sampled_from(Outcome))),
    st.tuples(st.just("limit"), st.tuples(_urls, st.sampled_from((0, 0, 1, 2, 4)))),
    st.tuples(st.just("weight"), st.tuples(_urls, _weights)),
    st.tuples(st.just("reserve"), st.tuples(_urls, st.integers(1, 3))),
    st.tuples(st.just("respec"), _specs),
    st.tuples(st.just("join"), _specs),
    st.tuples(st.just("leave"), _urls),
    st.tuples(st.just("wait"), st.sampled_from((0.01, 1.0, 100.0))),
)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@given(
    specs=st.lists(_specs, max_size=4, unique_by=lambda spec: spec.url),
    moves=st.lists(_moves, max_size=60),
    seed=st.integers(0, 99),
)
def test_whatever_it_is_told_it_picks_one_that_can_serve(name, specs, moves, seed):
    books = Books(name, specs, seed=seed)
    for move, argument in moves:
        books.do(move, argument)
    for url in books.nodes:
        books.set(url, limit=books.nodes[url].endpoint.capacity)
    while books.try_take() is not None:  # nothing is lost: all that is free can be had
        pass
    assert all(node.in_flight >= node.limit for node in books.nodes.values())
    for taken in list(books.out):
        books.give(taken)
    assert sum(node.in_flight for node in books.nodes.values()) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "first"])  # which does not share out
def test_an_endpoint_that_comes_back_is_not_flooded_and_not_starved(name):
    """Three alike, one out of service for 300 leases. Of the next 60, one at a time, it has neither none nor most."""
    books = Books(name, [Endpoint(url, capacity=2) for url in "abc"], seed=3)
    books.calls(300)
    books.set("b", limit=0)
    assert "b" not in books.calls(300)
    books.set("b", limit=2)
    urls = books.calls(60)
    assert 5 <= urls.count("b") <= 35, Counter(urls)


def test_a_request_takes_all_there_is_while_slots_are_limited():
    node = WritableNode(Endpoint("a", capacity=4))
    node.limit = node.ceiling = 2
    assert Request(slots=3).takes(node) == 2
