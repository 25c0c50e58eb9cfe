"""Every registered strategy keeps the contract, whatever is done to its pool; and the kit notices if not.

The second half breaks strategies on purpose: a conformance suite that passes everything is worth nothing.
"""

import random
import re
import unittest
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings

from balancer.endpoint import Endpoint, Outcome
from balancer.errors import ConfigError
from balancer.strategy import ANY, Node, Request, Strategy
from balancer.testing.call_sequence import Call, CallSequence, describe, shrink
from balancer.testing.checks import check_forgets, check_repeatable
from balancer.testing.conformance import as_test_case, check_strategy, maker_of
from balancer.testing.model import ModelEndpoint
from balancer.testing.reference_check import ReferenceCheck
from tests.registered import KINDS, NAMES

_ENOUGH = settings(max_examples=400, phases=[Phase.generate], report_multiple_bugs=False)
_FEW = settings(max_examples=25)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", NAMES)
def test_a_registered_strategy_keeps_the_contract(name: str, in_full: bool) -> None:
    others = [KINDS[other] for other in NAMES if other != name]
    check_strategy(
        KINDS[name], others=others, settings=settings(max_examples=100 if in_full else 25, stateful_step_count=50)
    )


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
        node.limit = 1  # and it meddles, so that the node would look free


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


class _ForgetsNobody(_Scan):
    """Its nodes have no limit once they have left, so it picks right, and holds all that ever were."""

    def leave(self, node: Node, now: float) -> None:
        pass


_BROKEN = {
    _IgnoresLeave: r"AttributeError: a strategy may read limit of a node but not set it|picked <Node",
    _PicksFull: r"strategy 'scan' picked <Node .*>, which cannot serve Request\(",
    _IgnoresRequest: r"strategy 'scan' picked <Node .*>, which cannot serve Request\(.+\)",
    _IgnoresSlots: r"strategy 'scan' picked <Node .*>, which cannot serve Request\(.*slots=\d",
    _WaitsForMoreThanThereIs: "has a slot free",
    _PicksLimitZero: r"strategy 'scan' picked <Node .*>, which cannot serve Request\(",
    _IdlesTheLast: "has a slot free|a free slot could not be leased",
    _CountsItself: "has a slot free|which cannot serve",
    _RaisesOnFailure: r"ZeroDivisionError, raised in finish \(test_conformance\.py, line \d+\)",
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", _BROKEN, ids=lambda kind: kind.__name__)
def test_a_strategy_that_breaks_the_contract_is_found_out_in_few_lines_with_what_is_wrong_in_the_last(
    kind: type[Strategy],
) -> None:
    with pytest.raises(AssertionError) as caught:
        check_strategy(kind, settings=_ENOUGH)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert getattr(caught.value, "__notes__", []) == []
    title, found, pool, *calls, sentence = str(caught.value).splitlines()
    assert title == f"{kind.__name__} does not keep the contract of a strategy"
    assert found == "the shortest sequence of calls found that shows it:"
    assert pool.startswith("    Pool([Endpoint('http://10.0.0.")
    assert pool.count("Endpoint(") <= 2
    assert len(calls) <= 5
    assert re.search(_BROKEN[kind], sentence)


@pytest.mark.more
def test_a_leave_that_forgets_nobody_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"still holds 2000 of their nodes; leave must forget a node$"):
        check_strategy(_ForgetsNobody, settings=_FEW)
    check_forgets(maker_of(_Scan))


@pytest.mark.parametrize("name", ["", "two words", 'a "quote"', "line\nbreak", "-option", "a,b", "caf\xe9", None])
def test_a_name_that_no_config_can_hold_is_found_out(name: object) -> None:
    kind = type("_Named", (_Scan,), {"name": name})
    with pytest.raises(AssertionError, match=r"begins with a letter or a digit$"):
        check_strategy(kind, settings=_FEW)


def test_a_name_that_a_config_can_hold_will_do() -> None:
    check_strategy(type("_Named", (_Scan,), {"name": "my-scan_2.0"}), settings=settings(max_examples=1))


def test_a_story_is_shortened_to_what_it_takes() -> None:
    """Of forty calls and four endpoints, the two calls and the one field that matter are left."""

    def shows(story: CallSequence) -> bool:
        names = [call.name for call in story.calls]
        big = any(spec.capacity >= 2 for spec in story.specs)
        return big and "drain" in names and "acquire" in names[names.index("drain") :]

    specs = tuple(Endpoint(f"http://{n}/", capacity=4, weight=2.0, labels=frozenset("a")) for n in range(4))
    noise = [Call("pass_time", None, {"seconds": 1.0}), Call("release", 7, {"outcome": Outcome.FAILURE})] * 10
    drain = Call("drain", None, {"url": "http://3/"})
    acquire = Call("acquire", None, {"request": Request(slots=3, key="k"), "timeout_s": 1.0, "priority": 2})
    found = shrink(CallSequence(specs, 3, 77, (*noise, drain, *noise, acquire, *noise)), shows)
    assert (found.max_waiters, found.seed) == (None, 0)
    assert describe(found) == [
        f"Pool([Endpoint({found.specs[0].url!r}, capacity=2)])",
        "drain(url='http://3/')",
        "acquire()",
    ]


def test_the_plainest_right_strategy_passes() -> None:
    check_strategy(_Scan, settings=_FEW)


def test_a_law_is_asked_about_every_grant() -> None:
    judged: list[str] = []

    def first(free: Sequence[ModelEndpoint], chosen: str) -> None:
        judged.append(chosen)
        assert chosen == free[0].spec.url

    shadow = ReferenceCheck(maker_of(_Scan), [Endpoint("a"), Endpoint("b", capacity=2)], law=first)
    for _ in range(4):  # the last one waits
        shadow.acquire()
    shadow.release(shadow.out[2])
    assert judged == shadow.grants == ["a", "b", "b", "b"]
    with pytest.raises(AssertionError):
        check_strategy(KINDS["least_in_flight"], law=first, settings=_ENOUGH)


class _UsesGlobalRandom(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        free = [n for n in self.nodes if request.fits(n)]
        return random.choice(free) if free else None


def test_a_strategy_with_a_randomness_of_its_own_is_found_out() -> None:
    with pytest.raises(AssertionError, match="the same seed and calls gave another choice at lease"):
        check_repeatable(maker_of(_UsesGlobalRandom))


class _IsFullNowAndThen(_Scan):
    """Picks what is full, by a randomness of its own: the same calls break it at one time and not at another."""

    def pick(self, request: Request, now: float) -> Node | None:
        found = super().pick(request, now)
        return found or (next(iter(self.nodes), None) if random.random() < 0.3 else None)


def test_a_breach_that_does_not_come_again_at_will_is_told_all_the_same() -> None:
    for _ in range(5):
        with pytest.raises(AssertionError, match=r"^_IsFullNowAndThen does not keep the contract") as caught:
            check_strategy(_IsFullNowAndThen, settings=_ENOUGH)
        assert "which cannot serve Request(" in str(caught.value).splitlines()[-1]


@pytest.mark.more
def test_the_contract_can_be_had_as_a_test_case() -> None:
    passed, failed = unittest.TestResult(), unittest.TestResult()
    as_test_case(_Scan, settings=_FEW)().run(passed)
    as_test_case(_PicksFull, settings=_ENOUGH)().run(failed)
    assert passed.wasSuccessful()
    assert passed.testsRun == 1
    assert not failed.wasSuccessful()


def test_wrong_options_are_an_error_at_once() -> None:
    with pytest.raises(ConfigError, match=r"strategy 'scan', option speed: unknown key"):
        check_strategy(_Scan, options={"speed": 1})
    for wrong in ("scan", None, 3, _Scan(None, random.Random(1))):
        with pytest.raises(TypeError, match="it takes the class of a strategy"):
            check_strategy(wrong)  # type: ignore[arg-type]
