"""What `peak_ewma`, `c3` and `prequal` make of how calls end: who is preferred, who is tried again, and when.

What they have in common is tested here, for each of them; what sets them apart, in a file of its own.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Node
from tests.properties.call_history import History
from tests.properties.chances import assert_follows, evenly, only
from tests.properties.driven import Driven

_KINDS = ("peak_ewma", "c3", "prequal")
_FOUR = "abcd"
_ALL: Mapping[str, Any] = {"choices": 100}

each = pytest.mark.parametrize("name", _KINDS)


def driven(name: str, urls: str = _FOUR, *, capacity: int = 8, seed: int = 1, **options: Any) -> Driven:
    return Driven(name, [Endpoint(url, capacity=capacity) for url in urls], options=options, seed=seed)


def taking(**took_s: float) -> Callable[[str], float]:
    return lambda url: took_s.get(url, 0.1)


def failing(url: str) -> Outcome:
    return Outcome.FAILURE if url == "a" else Outcome.SUCCESS


# -- speed -----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("callers", [1, 3, 12])
def test_who_is_slow_is_left_alone_while_others_will_do(name: str, callers: int) -> None:
    """Ten times as fast as it, each of the others has a share of 10/31 where all are used by their speed.

    `peak_ewma` leaves it alone up to ten times the queue; for the others, queues count more.
    """
    urls = driven(name).calls(4000, callers=callers, took_s=taking(a=1.0))
    assert urls.count("a") / 4000 < (0.01 if name == "peak_ewma" or callers == 1 else 0.06)
    assert min(urls.count(url) for url in "bcd") / 4000 > 0.25


@each
def test_who_is_slow_serves_when_the_others_are_full(name: str) -> None:
    pool = driven(name, capacity=1)
    pool.calls(100, callers=4, took_s=taking(a=1.0))
    assert {pool.take() for _ in range(4)} == set(_FOUR)


@each
def test_who_was_slow_is_tried_again(name: str) -> None:
    """Ten times as slow as the other, when what is known has faded to a tenth: after 10 s x ln 10 = 23 s."""
    pool = driven(name, "ab")
    pool.calls(40, took_s=taking(a=1.0))
    urls = pool.calls(1000, took_s=taking(a=1.0))  # 100 s
    tries = [number for number, url in enumerate(urls) if url == "a"]
    assert [later - sooner for sooner, later in pairwise(tries)] == pytest.approx([230] * (len(tries) - 1), abs=2)
    assert len(tries) == 4


@each
def test_who_was_slow_is_tried_by_one_call_at_a_time(name: str) -> None:
    pool = driven(name, **_ALL)
    pool.calls(40, took_s=taking(a=1.0))
    pool.calls(260)
    while pool.take() != "a":  # it has faded most
        pool.now += 0.1
        for url in "bcd":
            if pool.nodes[url].in_flight:
                pool.give(url, 0.1)
    for _ in range(6):  # the call may take 1 s again, so the others come first
        assert pool.take() != "a"


@each
def test_who_has_recovered_is_used_like_the_others(name: str) -> None:
    pool = driven(name)
    pool.calls(2000, callers=2, took_s=taking(a=2.0))
    pool.calls(1000, callers=2)  # 50 s
    assert pool.calls(2000, callers=2).count("a") / 2000 > 0.15


@each
def test_who_becomes_slow_is_left_alone_soon(name: str) -> None:
    pool = driven(name)
    pool.calls(1000, callers=2)
    urls = pool.calls(1000, callers=2, took_s=taking(a=2.0))
    assert urls.count("a") / 1000 < 0.05


# -- who is not known ------------------------------------------------------------------------------


@each
def test_a_newcomer_is_tried_at_once(name: str) -> None:
    pool = driven(name, **_ALL)
    pool.calls(500, callers=3)
    pool.join(Endpoint("new", capacity=8))
    assert pool.take() == "new"


@each
def test_a_newcomer_is_not_overrun_before_its_first_call_ends(name: str) -> None:
    """Its first call hangs. Taken for an usual one, it gets no more than the others have."""
    pool = driven(name, **_ALL)
    pool.calls(500, callers=3)
    pool.join(Endpoint("new", capacity=8))
    for _ in range(10):
        pool.take()
    assert pool.nodes["new"].in_flight <= 1 + max(pool.nodes[url].in_flight for url in _FOUR)


@each
def test_calls_that_say_nothing_do_not_make_an_endpoint_a_favourite(name: str) -> None:
    """Else it would be unknown for ever, and tried before all others each time."""
    urls = driven(name).calls(4000, outcome=lambda url: Outcome.IGNORED if url == "a" else Outcome.SUCCESS)
    assert urls.count("a") / 4000 < 0.45


@each
def test_what_was_learned_stays_while_the_limit_is_0(name: str) -> None:
    pool = driven(name, "ab", **_ALL)
    pool.calls(20, took_s=taking(a=1.0))
    pool.change("a", limit=0)
    assert set(pool.calls(20)) == {"b"}
    pool.change("a", limit=8, weight=1.0)
    assert set(pool.calls(20)) == {"b"}


@each
def test_who_leaves_and_comes_back_is_a_newcomer(name: str) -> None:
    pool = driven(name, "ab", **_ALL)
    pool.calls(20, took_s=taking(a=1.0))
    pool.leave("a")
    pool.join(Endpoint("a", capacity=8))
    assert pool.take() == "a"


@each
def test_a_lease_that_was_never_picked_tells_of_its_endpoint(name: str) -> None:
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
def test_a_black_hole_among_four_gets_next_to_nothing(name: str, callers: int, kind: Outcome) -> None:
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
def test_where_every_other_slot_is_taken_the_black_hole_is_all_there_is(name: str) -> None:
    """With as many callers as slots there is one slot to choose, and it is mostly its own: ejection is for that."""
    urls = driven(name, capacity=1).calls(2000, callers=4, took_s=taking(a=0.01, b=1.0, c=1.0, d=1.0), outcome=failing)
    assert urls.count("a") / 2000 > 0.9


@each
@pytest.mark.parametrize("factor", [10.0, 100.0, 1000.0])
def test_a_failure_counts_as_so_many_times_the_usual(name: str, factor: float) -> None:
    """Who fails at once is tried again when that has faded to what the other takes: after 10 s x ln(factor)."""
    pool = driven(name, "b", failure_factor=factor, **_ALL)
    pool.calls(100)
    pool.join(Endpoint("a", capacity=8))
    assert pool.take() == "a"
    pool.give("a", 0.001, Outcome.FAILURE)
    assert pool.calls(2000).index("a") * 0.1 == pytest.approx(10.0 * math.log(factor), abs=0.3)


@each
def test_a_failure_now_and_then_does_not_end_an_endpoint(name: str) -> None:
    """One call in 50 fails anywhere; all go on being used."""
    rng = random.Random(3)
    urls = driven(name).calls(
        8000, callers=4, outcome=lambda url: Outcome.FAILURE if rng.random() < 0.02 else Outcome.SUCCESS
    )
    assert min(Counter(urls)[url] for url in _FOUR) / 8000 > 0.1


# -- ties, and a clock that stands still -----------------------------------------------------------


@each
@pytest.mark.parametrize("choices", [2, 100])
def test_the_first_choice_of_a_new_pool_is_unbiased(name: str, choices: int) -> None:
    firsts = [driven(name, seed=seed, choices=choices).take() for seed in range(2000)]
    assert_follows(firsts, evenly(_FOUR))


@each
@pytest.mark.parametrize("left", ["ab", "bcd"])
def test_ties_are_unbiased_among_the_admitted(name: str, left: str) -> None:
    request = only(left, _FOUR)
    firsts = [driven(name, seed=seed).take(request) for seed in range(2000)]
    assert_follows(firsts, evenly(left))


@each
def test_ties_among_those_that_are_known_are_unbiased(name: str) -> None:
    """All took the same, and all have one lease out."""
    seconds = []
    for seed in range(1000):
        pool = driven(name, seed=seed)
        for request in [only(url, _FOUR) for url in _FOUR] * 2:
            pool.give(str(pool.take(request)), 0.1)
        for url in _FOUR:
            pool.change(url, in_flight=1)
        seconds.append(pool.take())
    assert_follows(seconds, evenly(_FOUR))


@each
def test_where_the_clock_stands_still_leases_are_spread_evenly(name: str) -> None:
    """Every call takes no time; what is in flight counts all the same."""
    pool = driven(name, **_ALL)
    assert_follows(pool.calls(2000, took_s=lambda url: 0.0), evenly(_FOUR))
    for _ in range(8):
        pool.take()
    least, *_, most = sorted(node.in_flight for node in pool.nodes.values())
    assert most - least <= (2 if name == "prequal" else 0)  # which looks at call times among the cold


# -- one choice ------------------------------------------------------------------------------------


@each
def test_with_one_choice_anybody_is_next(name: str) -> None:
    urls = driven(name, choices=1).calls(4000, took_s=taking(a=5.0))
    assert_follows(urls, evenly(_FOUR))


# -- the definition, the long way ------------------------------------------------------------------


def test_a_mean_is_known_in_a_simple_case() -> None:
    """A call of 3 s, and 10 s later one of 1 s: 1/e of the first is left."""
    history, node = History(), Node(Endpoint("a"))
    history.add(node, 3.0, Outcome.SUCCESS, 0.0)
    history.add(node, 1.0, Outcome.SUCCESS, 10.0)
    assert history.mean_s("a") == pytest.approx((3 / math.e + 1) / (1 / math.e + 1))
    assert history.peak_s("a") == pytest.approx(3 / math.e + 1 * (1 - 1 / math.e))
