"""The parts that strategies are composed of, whatever is done to them."""

import random
from collections import Counter
from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.kit.deadlines import Deadline, Deadlines, bounded
from balancer.kit.places import NOWHERE, Place, Places
from balancer.kit.strips import Strip, Strips
from balancer.kit.turns import Turns
from balancer.strategy import ANY, Node, Request
from balancer.testing.nodes import WritableNode
from tests.properties.chances import assert_follows, by_weight, evenly

_URLS = "abcde"


def nodes_of(urls: Iterable[str] = _URLS, capacity: int = 2) -> list[Node]:
    return [WritableNode(Endpoint(url, capacity=capacity)) for url in urls]


# -- places ----------------------------------------------------------------------------------------


def placed(nodes: list[Node], seed: int = 0) -> Places:
    places = Places(random.Random(seed))
    for node in nodes:
        node.note = Place()
        places.put(node)
    return places


@given(st.lists(st.tuples(st.sampled_from(("settle", "draw", "drop")), st.integers(0, 4), st.integers(0, 2))))
def test_the_list_and_the_notes_agree(moves: list[tuple[str, int, int]]) -> None:
    nodes = nodes_of()
    places, here = placed(nodes), set(nodes)
    for move, number, in_flight in moves:
        node = nodes[number]
        if move == "settle":
            places.settle(node, in_flight)
            here = here | {node} if in_flight < 2 else here - {node}
        elif move == "drop" and node in here:
            places.drop(node)
            here -= {node}
        elif move == "draw" and here:
            assert places.draw(number % len(here)) in here
        assert set(places.nodes) == here
        assert len(places.nodes) == len(here)
        assert [place.note.index for place in places.nodes] == list(range(len(here)))
        assert all(node.note.index == NOWHERE for node in set(nodes) - here)


def test_draws_one_after_another_are_distinct_and_every_order_is_as_likely() -> None:
    nodes = nodes_of("abcd")
    places = placed(nodes, seed=1)
    orders = ["".join(places.draw(n).endpoint.url for n in range(4)) for _ in range(4800)]
    assert_follows(orders, evenly("".join(order) for order in permutations("abcd")))


def test_any_that_fits_is_any_of_those_that_fit() -> None:
    nodes = nodes_of()
    places = placed(nodes, seed=2)
    nodes[1].in_flight = 1  # no room for two
    found = [places.any_that_fits(Request(exclude=frozenset("a"), slots=2)) for _ in range(3000)]
    assert_follows([node.endpoint.url for node in found if node is not None], evenly("cde"))
    assert places.any_that_fits(Request(labels=frozenset("x"))) is None
    assert Places(random.Random(0)).any_that_fits(ANY) is None


# -- strips ----------------------------------------------------------------------------------------


def test_a_chance_is_what_was_settled_last() -> None:
    nodes = nodes_of("abc")
    strips = Strips(random.Random(3))
    for node, weight in zip(nodes, (1.0, 2.0, 3.0), strict=True):
        node.note = Strip()
        strips.settle(node, weight, 0)
    for _ in range(20):  # again and again, and in between out of it
        strips.settle(nodes[0], 9.0, 2)
        strips.settle(nodes[0], 5.0, 1)
    found = [strips.any_that_fits(ANY) for _ in range(4000)]
    assert_follows([n.endpoint.url for n in found if n is not None], by_weight({"a": 5.0, "b": 2.0, "c": 3.0}))
    strips.leave(nodes[2])
    strips.leave(nodes[2])
    assert {node.endpoint.url for node in strips.nodes()} == {"a", "b"}


@pytest.mark.parametrize("weight", [0.0, 5e-324, 1e308])
def test_a_strip_has_a_length_whatever_the_weight(weight: float) -> None:
    (node,) = nodes_of("a")
    strips = Strips(random.Random(4))
    node.note = Strip()
    strips.settle(node, weight, 0)
    assert strips.any_that_fits(ANY) is node


# -- deadlines -------------------------------------------------------------------------------------


def queued(weights: list[float], seed: int = 0) -> tuple[Deadlines[Deadline], list[Deadline]]:
    rng, deadlines = random.Random(seed), Deadlines[Deadline]()
    found = [Deadline(node, w) for node, w in zip(nodes_of(map(str, range(len(weights)))), weights, strict=True)]
    for deadline in found:
        deadlines.start(deadline, rng.random())
    return deadlines, found


@given(weights=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_the_one_due_first_is_next_to_a_tick(weights: list[float], seed: int) -> None:
    """A tick is 1/64 of the shortest period at most, 1 / (64 x the heaviest)."""
    deadlines, all_ = queued(weights, seed)
    for _ in range(100):
        earliest = min(deadline.due for deadline in all_)
        deadline = deadlines.first(ANY)
        assert deadline is not None
        assert deadline.due <= earliest + 1 / 64 / max(weights) * (1 + 1e-9)
        deadline.due += 1 / deadline.weight
        deadlines.queue(deadline)


def test_a_much_heavier_one_that_comes_late_has_its_share_and_so_have_the_others() -> None:
    deadlines, (light, other) = queued([0.01, 0.02])
    heavy = Deadline(nodes_of("h")[0], 100.0)
    deadlines.start(heavy, 0.5)
    deadlines.reweigh(light, 50.0)
    counts = Counter[str]()
    for _ in range(15_000):
        deadline = deadlines.first(ANY)
        assert deadline is not None
        counts[deadline.node.endpoint.url] += 1
        deadline.due += 1 / deadline.weight
        deadlines.queue(deadline)
    assert counts["h"] == pytest.approx(10_000, abs=5)
    assert counts[light.node.endpoint.url] == pytest.approx(5000, abs=5)
    assert counts[other.node.endpoint.url] in (1, 2, 3)


def test_one_without_a_slot_is_not_queued_and_one_that_is_dropped_twice_is_no_harm() -> None:
    deadlines, (one, other) = queued([1.0, 1.0])
    one.node.limit = 0
    deadlines.settle(one)
    deadlines.drop(one)
    assert deadlines.first(ANY) is other
    assert deadlines.first(ANY) is None
    one.node.limit = 1
    deadlines.settle(one)
    assert deadlines.first(Request(exclude=frozenset("0"))) is None
    assert deadlines.first(Request(exclude=frozenset("1"))) is one


def test_a_weight_is_bounded() -> None:
    assert [bounded(w) for w in (5e-324, 1e-9, 2.0, 1e9, 1e308)] == [1e-9, 1e-9, 2.0, 1e9, 1e9]


# -- turns -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 3))), max_size=200))
def test_the_first_is_of_the_earliest_round_and_then_the_first_that_joined(moves: list[tuple[int, int | None]]) -> None:
    turns, nodes = Turns(), nodes_of()
    numbered = [turns.number(node) for node in nodes]
    rounds: dict[int, int] = {}
    for number, round_ in moves:
        if round_ is None:
            numbered[number].entry = None
            rounds.pop(number, None)
        else:
            turns.queue(numbered[number], round_)
            rounds[number] = round_
        for exclude in ("", "ab"):
            fitting = [(r, n) for n, r in rounds.items() if _URLS[n] not in exclude]
            first = turns.first(Request(exclude=frozenset(exclude)))
            assert first is (numbered[min(fitting)[1]] if fitting else None)


def test_turns_that_are_given_up_leave_nothing_behind() -> None:
    turns = Turns()
    one = turns.number(nodes_of("a")[0])
    for round_ in range(10_000):
        turns.queue(one, -round_)
    assert len(turns._heap) <= 66
