"""`weighted_least_request`, held against its definition: a chance by weight / (in-flight + 1) ** bias.

The exact chances are worked out here by enumeration.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Listed
from itertools import product

import pytest
from balancer_strategies.weighted_least_request import WeightedLeastRequest

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Node, Request
from balancer.testing.nodes import WritableNode
from tests.properties.chances import Counting, Excess, assert_follows, by_weight, only
from tests.properties.driven import Driven

_NAME = "weighted_least_request"
_FIVE = "abcde"
_MANY = 1000  # a capacity that is never reached


def left_of(node: Node, bias: float = 1.0) -> float:
    return node.weight / (node.in_flight + 1) ** bias


def driven(
    weights: Iterable[float],
    *,
    in_flight: Listed[int] = (0,) * 5,
    capacities: Listed[int] = (_MANY,) * 5,
    bias: float = 1.0,
    by: str = "draw",
    seed: int = 1,
) -> Driven:
    pool = Driven(_NAME, [], options={"bias": bias, "by": by}, seed=seed)
    for url, weight, leases, capacity in zip(_FIVE, weights, in_flight, capacities, strict=False):
        pool.join(Endpoint(url, weight=weight, capacity=capacity), in_flight=leases)
    return pool


def one_by_one(pool: Driven, count: int, request: Request = ANY) -> list[str]:
    urls = []
    for _ in range(count):
        url = pool.take(request)
        assert url is not None
        pool.give(url)
        urls.append(url)
    return urls


@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("weights", "in_flight"),
    [
        ((1.0,) * 5, (0, 0, 0, 0, 0)),
        ((1.0,) * 5, (0, 1, 2, 3, 4)),
        ((3.0, 2.0, 1.0, 1.0, 0.7), (0, 0, 0, 0, 0)),
        ((3.0, 2.0, 1.0, 1.0, 0.7), (2, 1, 0, 3, 1)),
        ((1.0, 1.0), (3, 0)),
        ((1e-9, 3e-9, 2e-9), (0, 1, 0)),
    ],
)
def test_a_chance_is_the_weight_left_by_that_of_all(
    weights: tuple[float, ...], in_flight: tuple[int, ...], bias: float
) -> None:
    pool = driven(weights, in_flight=in_flight, bias=bias)
    expected = by_weight({url: left_of(node, bias) for url, node in pool.nodes.items()})
    assert_follows(one_by_one(pool, 5000), expected)


def ends(weights: Mapping[str, float], capacities: Mapping[str, int], leases: int, bias: float) -> dict[str, float]:
    """Return the chance of each order in which the first `leases` leases of a new pool can go, by going over all."""
    found = {}
    for order in product(weights, repeat=leases):
        chance, out = 1.0, Counter[str]()
        for url in order:
            left = {u: w / (out[u] + 1) ** bias for u, w in weights.items() if out[u] < capacities[u]}
            chance *= by_weight(left).get(url, 0.0)
            out[url] += 1
        found["".join(order)] = chance
    return found


@pytest.mark.parametrize("bias", [0.5, 1.0, 2.0])
def test_the_first_leases_of_a_new_pool_go_where_enumeration_says(bias: float) -> None:
    """b is full after one, so of the 27 orders of three leases 20 can be."""
    weights, capacities = {"a": 2.0, "b": 1.0, "c": 1.5}, {"a": 3, "b": 1, "c": 3}
    expected = ends(weights, capacities, 3, bias)
    assert sum(expected.values()) == pytest.approx(1.0)
    assert sum(chance > 0 for chance in expected.values()) == 20
    found = []
    for seed in range(4000):
        pool = driven(weights.values(), capacities=tuple(capacities.values()), bias=bias, seed=seed)
        found.append("".join(str(pool.take()) for _ in range(3)))
    assert_follows(found, {order: chance for order, chance in expected.items() if chance})


def test_the_enumeration_is_known_in_a_simple_case() -> None:
    """1/2 x (1/2) / (3/2) for the same one twice."""
    of_two = ends({"a": 1.0, "b": 1.0}, {"a": 2, "b": 2}, 2, 1.0)
    assert of_two == pytest.approx({"aa": 1 / 6, "ab": 1 / 3, "ba": 1 / 3, "bb": 1 / 6})


def test_the_chi_square_would_notice_weights_that_are_out_of_date() -> None:
    """As they are if leases count only from an endpoint's next turn on."""
    with pytest.raises(AssertionError, match="chi-square"):
        assert_follows(["aa", "bb"] * 250 + ["ab", "ba"] * 250, ends({"a": 1.0, "b": 1.0}, {"a": 2, "b": 2}, 2, 1.0))


@pytest.mark.parametrize("admitted", ["bcde", "ab", "de"])
def test_chances_among_the_admitted(admitted: str) -> None:
    """With d and e admitted a dart hits one of them one time in ten, so that the scan that comes after is tested."""
    pool = driven((5.0, 3.0, 1.0, 1.0, 1.0), in_flight=(0, 0, 0, 1, 3))
    expected = by_weight({url: left_of(pool.nodes[url]) for url in admitted})
    assert_follows(one_by_one(pool, 5000, only(admitted, _FIVE)), expected)


@pytest.mark.parametrize("exclude", ["", "b"])
@pytest.mark.parametrize("bias", [1.0, 2.0])
def test_chances_hold_whatever_happens_in_between(bias: float, exclude: str) -> None:
    """Leases of several slots come and go, limits fall to 0 and come back, weights change, slots are kept."""
    pool, rng = driven((1.0, 2.0, 3.0, 1.5, 0.3), capacities=(2, 1, 6, 4, 3), bias=bias), random.Random(4)
    out: list[tuple[str, int]] = []
    excess = Excess()
    for _ in range(12_000):
        move, url = rng.random(), rng.choice(_FIVE)
        node = pool.nodes[url]
        if move < 0.5:
            request = Request(exclude=frozenset(exclude), slots=rng.choice((1, 1, 1, 2)))
            left = {u: left_of(n, bias) for u, n in pool.nodes.items() if request.fits(n)}
            before = {u: n.in_flight for u, n in pool.nodes.items()}
            chosen = pool.take(request)
            if chosen is not None:
                out.append((chosen, pool.nodes[chosen].in_flight - before[chosen]))
                excess.add(chosen, by_weight(left))
        elif move < 0.9 and out:
            given, slots = out.pop(rng.choice((0, -1)))
            pool.give(given, slots=slots)
        elif move < 0.93:
            pool.change(url, limit=rng.choice((0, node.endpoint.capacity)))
        elif move < 0.96:
            pool.change(url, weight=rng.choice((0.1, 1.0, 2.5)))
        elif node.in_flight < node.limit:  # a slot is kept for one who waits for several; it ends like a lease
            pool.change(url, in_flight=node.in_flight + 1)
            out.append((url, 1))
    excess.check(5 - len(exclude))


def test_weights_at_the_ends_of_what_a_float_can_be() -> None:
    pool = driven((5e-324, 1e-280, 1.7e308, 1.7e308), in_flight=(900, 900, 900, 0), bias=10.0)
    assert set(one_by_one(pool, 200)) == {"d"}  # c has 1e-30 of its chance
    pool.leave("d")
    assert set(one_by_one(pool, 200)) == {"c"}
    pool.leave("c")
    assert set(one_by_one(pool, 200)) == {"b"}
    pool.leave("b")
    assert set(one_by_one(pool, 200)) == {"a"}


# -- in turns, as Envoy ------------------------------------------------------------------------------


def test_in_turns_shares_are_by_the_weight_that_is_left_in_every_window() -> None:
    urls = one_by_one(driven((1.0, 1.0, 1.0), in_flight=(0, 0, 10), by="turns"), 10 * 23)
    for start in range(10 * 23 - 22):
        window = Counter(urls[start : start + 23])
        assert abs(window["a"] - 11) <= 1
        assert abs(window["b"] - 11) <= 1
        assert window["c"] <= 2
    assert abs(urls.count("c") - 10) <= 1
    other = one_by_one(driven((3.0, 1.0, 1.0), in_flight=(1, 0, 0), by="turns"), 350)
    assert {url: round(other.count(url) / 10) for url in "abc"} == {"a": 15, "b": 10, "c": 10}


def test_in_turns_what_is_in_flight_counts_when_the_turn_has_come() -> None:
    pool = driven((1.0, 1.0), by="turns", bias=1.0)
    assert len(set(one_by_one(pool, 2))) == 2
    first = one_by_one(pool, 1)[0]
    pool.nodes[first].in_flight = 99  # known too late for its next turn, which is due in a period
    later = one_by_one(pool, 60)
    assert first in later[:2]
    assert first not in later[2:]


def test_in_turns_one_that_was_full_comes_back_and_what_does_not_fit_is_passed_over() -> None:
    pool = driven((1.0, 1.0), capacities=(1, 1), by="turns")
    assert {pool.take(), pool.take()} == {"a", "b"}
    assert pool.take() is None
    pool.give("b")
    assert pool.take() == "b"
    pool.give("a")
    pool.give("b")
    assert set(one_by_one(pool, 5, Request(exclude=frozenset("a")))) == {"b"}


def test_a_choice_takes_less_than_two_darts_whatever_is_in_flight() -> None:
    """More than half of each strip counts, so the darts are geometric with mean < 2 and deviation < 1.5. The mean of
    2000 is below 2 + 4 x 1.5 / sqrt(2000)."""
    rng, leases = Counting(5), random.Random(5)
    strategy = WeightedLeastRequest(WeightedLeastRequest.Options(), rng)
    for number in range(300):
        node = WritableNode(Endpoint(f"e{number}", capacity=10**6, weight=leases.lognormvariate(0.0, 1.0)))
        node.in_flight = leases.randrange(100)
        strategy.join(node, 0.0)
    for _ in range(2000):
        picked = strategy.pick(ANY, 0.0)
        assert picked is not None
        picked.in_flight += 1
    assert rng.drawn / 2000 < 2.14
