"""`jiq`, held against its definition: the one idle longest, else any with a free slot, each as likely."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request
from tests.properties.books import Books
from tests.properties.chances import assert_follows, evenly, only

_URLS = "abcd"
_URL = st.sampled_from(_URLS)
_requests = st.builds(Request, exclude=st.frozensets(_URL, max_size=2), slots=st.sampled_from((1, 2)))
_moves = st.one_of(
    st.tuples(st.just("take"), st.one_of(st.just(Request()), _requests)),
    st.tuples(st.just("give"), st.tuples(st.integers(0, 9), st.just(Outcome.SUCCESS))),
    st.tuples(st.just("limit"), st.tuples(_URL, st.just(0))),
    st.tuples(st.just("reserve"), st.tuples(_URL, st.just(1))),
    st.tuples(st.just("weight"), st.tuples(_URL, st.just(7.0))),
    st.tuples(st.just("back"), _URL),
)


def _see(books: Books, idle: list[str]) -> list[str]:
    """Return who is idle, longest first: who was so before, then whoever has become so."""
    now = [url for url, node in books.nodes.items() if node.limit and not node.in_flight]
    return [url for url in idle if url in now] + [url for url in now if url not in idle]


@given(capacities=st.lists(st.integers(1, 3), min_size=4, max_size=4), moves=st.lists(_moves, max_size=80))
def test_the_one_idle_longest_is_next(capacities, moves):
    books = Books("jiq", [Endpoint(url, capacity=c) for url, c in zip(_URLS, capacities, strict=True)])
    idle = _see(books, [])
    for move, argument in moves:
        if isinstance(argument, Request):
            expected = next((url for url in idle if argument.fits(books.nodes[url])), None)
            taken = books.try_take(argument)
            assert expected is None or (taken is not None and taken.url == expected)
        else:
            books.do(move, argument)
        idle = _see(books, idle)


def busy(capacities: dict[str, int], *, seed: int) -> Books:
    """Return endpoints with a lease out each; the weights should not count."""
    specs = [Endpoint(url, capacity=c, weight=1.0 + n) for n, (url, c) in enumerate(capacities.items())]
    books = Books("jiq", specs, seed=seed)
    for url in capacities:
        books.take(only(url, _URLS))
    return books


@pytest.mark.parametrize("admitted", ["abcd", "abd", "cd"])
def test_where_none_is_idle_any_is_as_likely(admitted):
    books = busy(dict.fromkeys(_URLS, 9), seed=1)
    for _ in range(3):
        books.take(only("a", _URLS))  # more leases, and no less likely
    found = books.calls(4000, request=only(admitted, _URLS))
    assert_follows(found, evenly(admitted))


def test_one_that_is_full_is_not_drawn():
    assert_follows(busy({"a": 9, "b": 1, "c": 9, "d": 1}, seed=2).calls(3000), evenly("ac"))
