"""What `peak_ewma`, `c3` and `prequal` make of how calls end: who is preferred, who is tried again, and when.

What they have in common is tested here, for each of them; what sets them apart, in a file of its own.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from balancer.endpoint import Endpoint, Outcome
from tests.properties.chances import assert_follows, evenly
from tests.properties.driven import Driven

_KINDS = ("peak_ewma", "c3", "prequal")
_FOUR = "abcd"
_ALL: Mapping[str, Any] = {"choices": 100}

each = pytest.mark.parametrize("name", _KINDS)


def driven(name: str, urls: str = _FOUR, *, capacity: int = 8, seed: int = 1, **options: Any) -> Driven:
    return Driven(name, [Endpoint(url, capacity=capacity) for url in urls], options=options, seed=seed)


def taking(**took_s: float) -> Callable[[str], float]:
    return lambda url: took_s.get(url, 0.1)


# -- speed -----------------------------------------------------------------------------------------


@each
def test_who_was_slow_is_tried_again(name):
    """Ten times as slow as the other, when what is known has faded to a tenth: after 10 s x ln 10 = 23 s."""
    pool = driven(name, "ab")
    pool.calls(40, took_s=taking(a=1.0))
    urls = pool.calls(1000, took_s=taking(a=1.0))  # 100 s
    tries = [number for number, url in enumerate(urls) if url == "a"]
    assert [later - sooner for sooner, later in pairwise(tries)] == pytest.approx([230] * (len(tries) - 1), abs=2)
    assert len(tries) == 4


# -- who is not known ------------------------------------------------------------------------------


@each
def test_a_lease_that_was_never_picked_tells_of_its_endpoint(name):
    pool = driven(name, "", **_ALL)
    pool.join(Endpoint("a", capacity=8), in_flight=2)
    pool.join(Endpoint("b", capacity=8), in_flight=2)
    for url, took_s in (("a", 5.0), ("b", 0.1)) * 2:
        pool.give(url, took_s)
    assert set(pool.calls(20)) == {"b"}


# -- failures --------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("kind", [Outcome.FAILURE, Outcome.OVERLOAD])
@pytest.mark.parametrize("callers", [1, 2, 4, 8])
def test_a_black_hole_among_four_gets_next_to_nothing(name, callers, kind):
    """It fails in 10 ms where the others take 1 s, from the first call on; each has 8 slots.

    It is tried again after 10 s x ln 100 = 46 s, by `prequal` after 10 s where another is hot, out of as many calls a
    second as there are callers.
    """
    pool = driven(name)
    urls = pool.calls(
        4000,
        callers=callers,
        took_s=lambda url: 0.01 if url == "a" else 1.0,
        outcome=lambda url: kind if url == "a" else Outcome.SUCCESS,
    )
    assert urls[:200].count("a") <= 10
    assert urls.count("a") / 4000 < (0.04 if callers < 8 else 0.02)


@each
@pytest.mark.parametrize("factor", [10.0, 100.0, 1000.0])
def test_a_failure_counts_as_so_many_times_the_usual(name, factor):
    """Who fails at once is tried again when that has faded to what the other takes: after 10 s x ln(factor)."""
    pool = driven(name, "b", failure_factor=factor, **_ALL)
    pool.calls(100)
    pool.join(Endpoint("a", capacity=8))
    assert pool.take() == "a"
    pool.give("a", 0.001, Outcome.FAILURE)
    assert pool.calls(2000).index("a") * 0.1 == pytest.approx(10.0 * math.log(factor), abs=0.3)


# -- ties, and a clock that stands still -----------------------------------------------------------


@each
@pytest.mark.parametrize("choices", [2, 100])
def test_the_first_choice_of_a_new_pool_is_unbiased(name, choices):
    firsts = [driven(name, seed=seed, choices=choices).take() for seed in range(2000)]
    assert_follows(firsts, evenly(_FOUR))


@each
def test_where_the_clock_stands_still_leases_are_spread_evenly(name):
    """Every call takes no time; what is in flight counts all the same."""
    pool = driven(name, **_ALL)
    assert_follows(pool.calls(2000, took_s=lambda url: 0.0), evenly(_FOUR))
    for _ in range(8):
        pool.take()
    least, *_, most = sorted(node.in_flight for node in pool.nodes.values())
    assert most - least <= (2 if name == "prequal" else 0)  # which looks at call times among the cold


# -- the definition, the long way ------------------------------------------------------------------
