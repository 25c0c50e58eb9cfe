"""Every registered strategy keeps the contract, whatever is done to its pool; and the kit notices if not.

The second half breaks strategies on purpose: a conformance suite that passes everything is worth nothing.
"""

import random
import textwrap
import unittest
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import Phase

from balancer.endpoint import Outcome
from balancer.errors import ConfigError, StrategyError
from balancer.strategy import ANY, Node, Request, Strategy
from balancer.testing import conformance, machine
from balancer.testing.checks import check_cost, check_forgets, maker_of
from balancer.testing.conformance import SETTINGS, StrategyMachine, as_test_case, check_strategy, machine_of
from tests.registered import KINDS, NAMES

_BREACH = (AssertionError, StrategyError)
_ENOUGH = hypothesis.settings(SETTINGS, max_examples=300, phases=[Phase.generate])
_FEW = hypothesis.settings(SETTINGS, max_examples=10)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", NAMES)
def test_a_registered_strategy_keeps_the_contract(name, in_full):
    others = [KINDS[other] for other in NAMES if other != name]
    enough = hypothesis.settings(SETTINGS, max_examples=100 if in_full else 15)
    check_strategy(KINDS[name], others=others, settings=enough)


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


class _UsesGlobalRandom(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        free = [n for n in self.nodes if request.fits(n)]
        return random.choice(free) if free else None


class _ForgetsTheEjected(_Scan):
    """Drops a node of limit 0 for good."""

    def change(self, node: Node, now: float) -> None:
        if not node.limit and node in self.nodes:
            self.nodes.remove(node)

    def leave(self, node: Node, now: float) -> None:
        self.nodes = [other for other in self.nodes if other is not node]


_BROKEN = {
    _IgnoresLeave: "a strategy may read limit of a node but not set it|picked <Node",
    _PicksFull: r"picked <Node .*>, which Request\(.*\) does not fit",
    _IgnoresRequest: r"picked <Node .*>, which Request\(.+\) does not fit",
    _IgnoresSlots: r"picked <Node .*>, which Request\(.*slots=\d\) does not fit",
    _WaitsForMoreThanThereIs: r"picked nothing for Request\(.*slots=\d\), although it fits <Node",
    _PicksLimitZero: r"picked <Node .*>, which Request\(.*\) does not fit",
    _IdlesTheLast: r"picked nothing for Request\(.*\), although it fits <Node",
    _CountsItself: "picked nothing for Request|does not fit",
    _RaisesOnFailure: r"ZeroDivisionError\(\).* in finish",
    _UsesGlobalRandom: r"and with the same seed after the same calls <\w*Node .*; use no randomness but the rng",
    _ForgetsTheEjected: r"picked nothing for Request\(.*\), although it fits <Node",
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", _BROKEN, ids=lambda kind: kind.__name__)
def test_a_strategy_that_breaks_the_contract_is_found_out(kind):
    with pytest.raises(_BREACH, match=_BROKEN[kind]):
        check_strategy(kind, settings=_ENOUGH)


def test_the_fewest_calls_that_show_it_are_printed_and_can_be_pasted():
    with pytest.raises(_BREACH) as caught:
        check_strategy(_PicksFull, settings=hypothesis.settings(SETTINGS, max_examples=300, print_blob=False))
    printed = "\n".join(caught.value.__notes__)
    code = textwrap.dedent(printed[printed.index("state = ") :])
    calls = [line for line in code.splitlines() if "state." in line and "state.agrees" not in line]
    assert code.startswith("state = machine_of(_PicksFull)()\n")
    assert len(calls) <= 6
    names = {**vars(machine), **vars(conformance), "_PicksFull": _PicksFull}
    with pytest.raises(_BREACH) as again:
        exec(code, names)
    assert str(again.value) == str(caught.value)


@pytest.mark.more
def test_a_leave_that_forgets_nobody_is_found_out():
    with pytest.raises(AssertionError, match=r"still holds 2000 of their nodes; leave must forget a node$"):
        check_forgets(maker_of(_ForgetsNobody))
    check_forgets(maker_of(_Scan))


class _LooksAtAll(_Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return min((n for n in self.nodes if request.fits(n)), key=lambda n: n.in_flight, default=None)


def test_a_pick_that_looks_at_all_nodes_is_found_out():
    with pytest.raises(AssertionError, match=r"times among 4096; a pick may cost O\(log N\), not a scan$"):
        check_cost(maker_of(_LooksAtAll))


@pytest.mark.parametrize("name", ["", "two words", 'a "quote"', "line\nbreak", "-option", "a,b", "caf\xe9", None])
def test_a_name_that_no_config_can_hold_is_found_out(name):
    kind = type("_Named", (_Scan,), {"name": name})
    with pytest.raises(AssertionError, match=r"begins with a letter or a digit$"):
        check_strategy(kind, settings=_FEW)


class _First(StrategyMachine):
    kind = _Scan

    def picked(self, request: Request, node: Node, fitting: Sequence[Node]) -> None:
        assert node is fitting[0], f"{node} was picked, not {fitting[0]}"


def test_a_subclass_adds_a_rule_for_every_pick():
    with pytest.raises(_BREACH, match="was picked, not <Node"):
        check_strategy(KINDS["least_in_flight"], machine=_First, settings=_ENOUGH)


@pytest.mark.more
def test_the_contract_can_be_had_as_a_test_case():
    passed, failed = unittest.TestResult(), unittest.TestResult()
    _First.TestCase.settings = _FEW
    for case in (as_test_case(KINDS["first"], settings=_FEW), _First.TestCase):
        case("runTest").run(passed)
    as_test_case(_PicksFull, settings=_ENOUGH)().run(failed)
    assert passed.wasSuccessful()
    assert passed.testsRun == 2
    assert not failed.wasSuccessful()


def test_wrong_options_are_an_error_at_once():
    with pytest.raises(ConfigError, match=r"strategy 'scan', option speed: unknown key"):
        check_strategy(_Scan, options={"speed": 1})
    for wrong in ("scan", None, 3, _Scan(None, random.Random(1))):
        with pytest.raises(TypeError, match="it takes the class of a strategy"):
            check_strategy(wrong)
    with pytest.raises(TypeError, match="it takes the class of a strategy"):
        machine_of(_Scan, others=["scan"])
