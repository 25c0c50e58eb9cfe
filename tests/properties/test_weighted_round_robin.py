"""`weighted_round_robin`: shares by weight in every short window (EDF), from a phase that is drawn at random."""

from collections import Counter

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import Request
from tests.properties.books import Books
from tests.properties.chances import assert_follows


def books_of(weights: tuple[float, ...], *, seed: int = 0, capacity: int = 4) -> Books:
    specs = [Endpoint(f"e{n}", weight=weight, capacity=capacity) for n, weight in enumerate(weights)]
    return Books("weighted_round_robin", specs, seed=seed)


@pytest.mark.parametrize(
    ("weights", "first"),
    # With phases u / w and u' / w', u and u' uniform, the one of weight 2 is due before the one of weight 1 three
    # times in four: P(u / 2 < u') = 3/4; and of three alike each is as likely the first.
    [((2.0, 1.0), {"e0": 0.75, "e1": 0.25}), ((1.0, 1.0, 1.0), {"e0": 1 / 3, "e1": 1 / 3, "e2": 1 / 3})],
)
def test_the_first_period_begins_anywhere(weights, first):
    """Ticks are 1/64 of a period of weight 1: where both are due in one, the first that joined is next.

    That moves these chances by less than 1/64 / 2, a standard deviation of 1000 firsts.
    """
    assert_follows([books_of(weights, seed=seed).take().url for seed in range(1000)], first)


def test_weights_share_out_slots_not_leases():
    """e0 gives two slots to every other lease of its own; e1 of the same weight gives as many slots, one by one."""
    books = Books("weighted_round_robin", [Endpoint("e0", capacity=2, labels=frozenset("x")), Endpoint("e1")])
    slots = Counter[str]()
    for number in range(3000):
        taken = books.take(Request(labels=frozenset("x"), slots=2) if number % 3 == 0 else Request())
        slots[taken.url] += taken.slots
        books.give(taken)
    assert slots["e0"] == pytest.approx(slots["e1"], abs=4)
