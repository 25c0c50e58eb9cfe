"""`least_in_flight`, held against its definition: argmin (in-flight + 1) / weight, ties at random."""

import random
from collections.abc import Sequence as Listed
from time import thread_time

import pytest
from balancer_strategies.least_in_flight import LeastInFlight
from hypothesis import settings

from balancer.endpoint import Endpoint
from balancer.strategy import Node, Request
from balancer.testing.conformance import SETTINGS, StrategyMachine, check_strategy
from tests.properties.chances import assert_follows, evenly
from tests.properties.sequence import Sequence


class _Least(StrategyMachine):
    """The one picked has the least load, with the lease, of all that fit."""

    def picked(self, request: Request, node: Node, fitting: Listed[Node]) -> None:
        loads = [(each.in_flight + 1) / each.weight for each in fitting]
        assert (node.in_flight + 1) / node.weight == min(loads), f"{node} was picked, and the loads were {loads}"


def test_the_least_loaded_is_chosen_whatever_happens():
    check_strategy(LeastInFlight, machine=_Least, settings=settings(SETTINGS, max_examples=60))


_TEN = [f"e{n}" for n in range(10)]


@pytest.mark.parametrize("left", [2, 4, 8])
def test_ties_are_unbiased_among_the_admitted(left):
    """With 2 of 10 left a draw fails four times in five, so that the scan that comes after is tested too."""
    calls = Sequence("least_in_flight", map(Endpoint, _TEN), seed=2)
    request = Request(exclude=frozenset(_TEN[left:]))
    assert_follows(calls.calls(5000, request=request), evenly(_TEN[:left]))


def test_the_first_choice_of_a_new_pool_is_unbiased():
    """In a pool that is in use whoever is chosen goes to the end, which hides a favourite; here nobody was yet.

    With 2 of 10 admitted, one choice in six is made by the scan: 0.8 ** 8.
    """
    request = Request(exclude=frozenset(_TEN[:8]))
    pools = (Sequence("least_in_flight", map(Endpoint, _TEN), seed=seed) for seed in range(2000))
    assert_follows([calls.take(request).endpoint.url for calls in pools], evenly(_TEN[8:]))


def test_weights_that_change_all_the_time_leave_nothing_behind():
    """An autoscaler may set a weight every few seconds for months; a lease must not cost more for it.

    What a filtered lease costs after 3000 changes, by what it cost before them, in time of this thread;
    with a bucket left behind by each it is some 60 times as much.
    """
    calls, rng = Sequence("least_in_flight", [Endpoint(url, capacity=2) for url in _TEN], seed=7), random.Random(7)

    def cost_s() -> float:
        rounds_s = []
        for _ in range(5):
            started_s = thread_time()
            calls.calls(100, request=Request(exclude=frozenset(["e1"])))
            rounds_s.append(thread_time() - started_s)
        return min(rounds_s)

    before_s = cost_s()
    for _ in range(3000):
        calls.core.update(Endpoint("e0", capacity=2, weight=rng.uniform(0.1, 0.9)), calls.clock())
    assert cost_s() < 5 * before_s
