"""`rendezvous`, held against its definition: a key's endpoint is drawn once and for all, by weight."""

import math
import random
from collections import Counter

import pytest

from balancer.endpoint import Endpoint
from balancer.plugins.registry import default_registry
from balancer.strategy import Node, Request
from tests.properties.books import Books
from tests.properties.chances import assert_follows, by_weight

_WEIGHTS = {"http://a/": 5.0, "http://b/": 3.0, "http://c/": 1.0, "http://d/": 0.5}
_A, _B, _C, _D = _WEIGHTS
_KEYS = [f"user {number}" for number in range(4000)]


def books_of(weights: dict[str, float] = _WEIGHTS, *, capacity: int = 2, seed: int = 0) -> Books:
    return Books(
        "rendezvous", [Endpoint(url, weight=weight, capacity=capacity) for url, weight in weights.items()], seed=seed
    )


def homes(books: Books, keys: list[str] = _KEYS, **fields: frozenset[str]) -> dict[str, str]:
    """Return the endpoint of each key."""
    return {key: books.calls(1, request=Request(key=key, **fields))[0] for key in keys}


def moved(before: dict[str, str], after: dict[str, str]) -> Counter[tuple[str, str]]:
    return Counter((before[key], after[key]) for key in before if before[key] != after[key])


# -- one key ---------------------------------------------------------------------------------------


def test_a_key_has_one_endpoint_whatever_the_seed_and_the_order_of_joining():
    first = homes(books_of(seed=1))
    assert homes(books_of(seed=1)) == first
    assert homes(books_of(dict(reversed(_WEIGHTS.items())), seed=2)) == first


def test_where_the_endpoint_of_a_key_is_full_its_second_choice_serves_and_is_always_the_same():
    for key in _KEYS[:50]:
        books = books_of(capacity=1, seed=random.Random(key).randrange(100))
        order = [books.take(Request(key=key)).url for _ in _WEIGHTS]
        assert sorted(order) == sorted(_WEIGHTS)
        for n in range(1, 4):  # the choice without those ahead of it
            assert homes(books_of(), [key], exclude=frozenset(order[:n])) == {key: order[n]}


def test_a_key_is_at_home_only_with_those_that_fit():
    books = books_of()
    for key in _KEYS[:100]:
        first = homes(books, [key])[key]
        assert homes(books, [key], exclude=frozenset([first]))[key] != first
        books.set(first, limit=0)
        elsewhere = homes(books, [key])[key]
        assert elsewhere != first
        books.set(first, limit=2)
        assert homes(books, [key])[key] == first


# -- all keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights", [dict.fromkeys(_WEIGHTS, 1.0), _WEIGHTS, {_A: 2e-9, _B: 1e-9}, {_A: 64.0, _B: 0.25}]
)
def test_keys_are_shared_out_by_weight(weights):
    assert_follows(homes(books_of(weights)).values(), by_weight(weights))


def test_only_the_keys_of_one_that_leaves_move():
    books = books_of()
    before = homes(books)
    books.leave(_B)
    without = homes(books)
    assert {source for source, _ in moved(before, without)} == {_B}
    books.join(Endpoint(_B, weight=3.0, capacity=2))
    assert homes(books) == before


def test_keys_move_only_to_one_that_joins_or_weighs_more():
    books = books_of()
    before = homes(books)
    books.set(_C, weight=2.0)
    heavier = homes(books)
    assert {target for _, target in moved(before, heavier)} == {_C}
    assert_follows(heavier.values(), by_weight({**_WEIGHTS, _C: 2.0}))
    books.join(Endpoint("http://e/", weight=4.0))
    assert {target for _, target in moved(heavier, homes(books))} == {"http://e/"}


# -- no key ----------------------------------------------------------------------------------------


# -- a bound ---------------------------------------------------------------------------------------


def test_no_endpoint_gets_more_than_the_bound_allows_while_another_one_may():
    strategy = default_registry().strategy("rendezvous", {"bound": 1.25}, random.Random(0))
    nodes = [Node(Endpoint(url, capacity=1000, weight=weight)) for url, weight in _WEIGHTS.items()]
    for node in nodes:
        vars(node).update(limit=1000, ceiling=1000)
        strategy.join(node, 0.0)
    for taken in range(1, 400):
        picked = strategy.pick(Request(key="popular"), 0.0)
        assert picked is not None
        vars(picked).update(in_flight=picked.in_flight + 1)
        for node in nodes:
            share = node.weight / sum(_WEIGHTS.values())
            assert node.in_flight <= math.ceil(1.25 * taken * share + 1e-9)
