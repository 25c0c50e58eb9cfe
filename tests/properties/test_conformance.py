"""Every registered strategy keeps the contract, whatever is done to its pool; and the kit notices if not.

The second half breaks strategies on purpose: a conformance suite that passes everything is worth nothing.
"""

import random
import unittest
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings

from balancer.endpoint import Endpoint, Outcome
from balancer.errors import StrategyError
from balancer.strategy import ANY, Node, Request, Strategy
from balancer.testing.conformance import as_test_case, check_repeatable, check_strategy, maker_of
from balancer.testing.model import ModelEndpoint
from balancer.testing.shadow import Shadow
from tests.registered import KINDS, NAMES

_UNSHRUNK = settings(max_examples=100, phases=[Phase.generate], report_multiple_bugs=False)
_FEW = settings(max_examples=40)


@pytest.mark.parametrize("name", NAMES)
def test_a_registered_strategy_keeps_the_contract(name: str) -> None:
    others = [KINDS[other] for other in NAMES if other != name]
    check_strategy(KINDS[name], others=others, settings=settings(max_examples=100, stateful_step_count=50))


@pytest.mark.parametrize(
    "options",
    [
        {"decay_s": 0.01, "floor": 1.0},
        {"decay_s": 1e6, "floor": 1e-6, "slow_start_s": 0.0},
        {"speed": 2.0, "slow_start_s": 1000.0},
        {"speed": 0.0, "slow_start_s": 0.0},
    ],
)
def test_weighted_health_keeps_the_contract_with_unusual_options(options: dict[str, float]) -> None:
    check_strategy(KINDS["weighted_health"], options=options, settings=_FEW)


class _Scan(Strategy):
    """The plainest strategy that is right: the first that will do. Each break below is one change to it."""

    name = "scan"

    def __init__(self, options: Any, rng: random.Random) -> None:
        self.nodes: list[Node] = []
        self.random = rng

    def join(self, node: Node, now: float) -> None:
        self.nodes.append(node)

    def leave(self, node: Node, now: float) -> None:
        self.nodes.remove(node)

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        return next((n for n in self.nodes if request.fits(n)), None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        pass


class _IgnoresLeave(_Scan):
    def leave(self, node: Node, now: float) -> None:
        node.limit = 1  # and it meddles, so that the node looks free


class _PicksFull(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return next((n for n in self.nodes if request.admits(n.endpoint)), None)


class _IgnoresRequest(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return super().pick(ANY, now)


class _IgnoresSlots(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return next((n for n in self.nodes if n.free and request.admits(n.endpoint)), None)


class _WaitsForMoreThanThereIs(_Scan):
    """Takes no notice that a host has fewer slots than were asked for."""

    def pick(self, request: Request, now: float) -> Node | None:
        return next((n for n in self.nodes if n.free >= request.slots and request.admits(n.endpoint)), None)


class _PicksLimitZero(_Scan):
    """Looks at capacity, not at the limit: so it picks a node whose host is full."""

    def pick(self, request: Request, now: float) -> Node | None:
        fits = (n for n in self.nodes if n.in_flight + request.slots <= n.endpoint.capacity)
        return next((n for n in fits if request.admits(n.endpoint)), None)


class _IdlesTheLast(_Scan):
    """Keeps one slot of its pool in reserve."""

    def pick(self, request: Request, now: float) -> Node | None:
        return super().pick(request, now) if sum(n.free for n in self.nodes) > 1 else None


class _CountsItself(_Scan):
    """Counts free slots in a list of its own and never hears of a larger capacity."""

    def __init__(self, options: Any, rng: random.Random) -> None:
        super().__init__(options, rng)
        self.free: list[Node] = []

    def join(self, node: Node, now: float) -> None:
        self.free += [node] * node.free

    def leave(self, node: Node, now: float) -> None:
        self.free = [n for n in self.free if n is not node]

    def pick(self, request: Request, now: float) -> Node | None:
        for position, node in enumerate(self.free):
            if request.admits(node.endpoint):
                return self.free.pop(position)
        return None

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        self.free.append(node)


class _RaisesOnFailure(_Scan):
    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if outcome is Outcome.FAILURE and node.in_flight:
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (_IgnoresLeave, (AssertionError, StrategyError, ValueError)),
        (_PicksFull, StrategyError),
        (_IgnoresRequest, StrategyError),
        (_IgnoresSlots, StrategyError),
        (_WaitsForMoreThanThereIs, AssertionError),
        (_PicksLimitZero, (AssertionError, StrategyError)),  # a waiter is given the StrategyError: it ended wrongly
        (_IdlesTheLast, AssertionError),
        (_CountsItself, (AssertionError, StrategyError)),
        (_RaisesOnFailure, ZeroDivisionError),
    ],
)
def test_a_strategy_that_breaks_the_contract_is_found_out(
    kind: type[Strategy], error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    with pytest.raises(error):
        check_strategy(kind, settings=_UNSHRUNK)


def test_the_plainest_right_strategy_passes() -> None:
    check_strategy(_Scan, settings=_FEW)


def test_a_law_is_asked_about_every_grant() -> None:
    judged: list[str] = []

    def first(free: Sequence[ModelEndpoint], chosen: str) -> None:
        judged.append(chosen)
        assert chosen == free[0].spec.url

    shadow = Shadow(maker_of(_Scan), [Endpoint("a"), Endpoint("b", capacity=2)], law=first)
    for _ in range(4):  # the last one waits
        shadow.acquire()
    shadow.release(shadow.out[2])
    assert judged == shadow.grants == ["a", "b", "b", "b"]
    with pytest.raises(AssertionError):
        check_strategy(KINDS["least_in_flight"], law=first, settings=_UNSHRUNK)


class _UsesGlobalRandom(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        free = [n for n in self.nodes if request.fits(n)]
        return random.choice(free) if free else None


def test_a_strategy_with_a_randomness_of_its_own_is_found_out() -> None:
    with pytest.raises(AssertionError, match="the same seed and calls made another choice at lease"):
        check_repeatable(maker_of(_UsesGlobalRandom))


def test_the_contract_can_be_had_as_a_test_case() -> None:
    passed, failed = unittest.TestResult(), unittest.TestResult()
    as_test_case(_Scan, settings=_FEW)().run(passed)
    as_test_case(_PicksFull, settings=_UNSHRUNK)().run(failed)
    assert passed.wasSuccessful()
    assert passed.testsRun == 1
    assert not failed.wasSuccessful()


def test_wrong_options_are_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        check_strategy(_Scan, options={"speed": 1})


def test_a_shadow_can_be_driven_by_hand() -> None:
    shadow = Shadow(maker_of(_Scan), [Endpoint("a"), Endpoint("b")])
    for _ in range(3):
        shadow.acquire()
    assert [lease.endpoint.url for lease in shadow.out] == ["a", "b"]
    shadow.release(shadow.out[1])
    assert [lease.endpoint.url for lease in shadow.out] == ["a", "b"]
    assert not shadow.waiting
    shadow.finish()
