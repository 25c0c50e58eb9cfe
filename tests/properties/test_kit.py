"""The parts that strategies are composed of, whatever is done to them."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.kit.deadlines import Deadline, Deadlines, bounded
from balancer.kit.places import NOWHERE, Place, Places
from balancer.strategy import ANY, Node, Request
from balancer.testing.doubles import WritableNode

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
def test_the_list_and_the_notes_agree(moves):
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


# -- deadlines -------------------------------------------------------------------------------------


def queued(weights: list[float], seed: int = 0) -> tuple[Deadlines[Deadline], list[Deadline]]:
    rng, deadlines = random.Random(seed), Deadlines[Deadline]()
    found = [Deadline(node, w) for node, w in zip(nodes_of(map(str, range(len(weights)))), weights, strict=True)]
    for deadline in found:
        deadlines.start(deadline, rng.random())
    return deadlines, found


def test_a_much_heavier_one_that_comes_late_has_its_share_and_so_have_the_others():
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


def test_one_without_a_slot_is_not_queued_and_one_that_is_dropped_twice_is_no_harm():
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


def test_a_weight_is_bounded():
    assert [bounded(w) for w in (5e-324, 1e-9, 2.0, 1e9, 1e308)] == [1e-9, 1e-9, 2.0, 1e9, 1e9]
