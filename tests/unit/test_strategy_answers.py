"""A strategy may be anybody's: what it is handed cannot be written to, and what it answers is looked at."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest

from balancer import AcquireTimeout, Endpoint, Pool, StrategyError
from balancer.endpoint import Outcome
from balancer.plugins.registry import Registry
from balancer.strategy import Node, Request, Strategy
from balancer.testing.clock import ManualClock
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_WAIT_S = 60.0  # none waits so long, unless it is forgotten
_FIELDS = ("endpoint", "in_flight", "limit", "ceiling", "weight")


class _Scan(Strategy):
    """The first that fits; what it does besides is said by the test."""

    name = "scan"
    meddle: Callable[[Node], object] = staticmethod(lambda node: None)
    when: str = ""
    answer: Callable[["_Scan", Node], object] = staticmethod(lambda strategy, node: node)

    def __init__(self, options: Any, rng: random.Random) -> None:
        self.nodes: list[Node] = []
        self.gone: list[Node] = []

    def join(self, node: Node, now: float) -> None:
        self.nodes.append(node)
        self._meddle("join", node)

    def leave(self, node: Node, now: float) -> None:
        self.nodes.remove(node)
        self.gone.append(node)
        self._meddle("leave", node)

    def change(self, node: Node, now: float) -> None:
        self._meddle("change", node)

    def pick(self, request: Request, now: float) -> Node | None:
        node = next((node for node in self.nodes if request.fits(node)), None)
        if node is None:
            return None
        self._meddle("pick", node)
        return self.answer(self, node)  # that is the point

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        self._meddle("finish", node)

    def _meddle(self, when: str, node: Node) -> None:
        if when == self.when:
            self.meddle(node)


def _answering(answer: Callable[[_Scan, Node], object]) -> type[Strategy]:
    return type("_Answers", (_Scan,), {"answer": staticmethod(answer)})


def _meddling(when: str, meddle: Callable[[Node], object]) -> type[Strategy]:
    return type("_Meddles", (_Scan,), {"when": when, "meddle": staticmethod(meddle)})


@pytest.mark.parametrize("field", _FIELDS)
def test_a_node_cannot_be_written_to(field):
    node = Node(Endpoint("a", capacity=2))
    before = getattr(node, field)
    with pytest.raises(AttributeError, match=f"^a strategy may read {field} of a node but not set it; ") as caught:
        setattr(node, field, 7)
    assert "\n" not in str(caught.value)
    with pytest.raises(AttributeError, match=f"not delete {field} of a node"):
        delattr(node, field)
    with pytest.raises(AttributeError, match="a strategy may read score"):
        node.score = 1  # what a strategy knows of a node goes into its note
    assert getattr(node, field) == before
    node.note = "its own"
    assert node.note == "its own"


@pytest.mark.parametrize("field", ["in_flight", "limit", "ceiling"])
def test_conservation_holds_even_if_a_strategy_breaks_into_its_node(field):
    """`object.__setattr__` goes round everything; then the strategy fools itself, and nobody else."""
    kind = _meddling("pick", lambda node: object.__setattr__(node, field, -9 if field == "in_flight" else 99))
    pool = pool_of([Endpoint("a", capacity=2)], strategy=kind, health=None)
    held = [pool.acquire(0), pool.acquire(0)]
    with pytest.raises((StrategyError, AcquireTimeout)):
        held.append(pool.acquire(0))
    assert [(e.in_flight, e.limit) for e in pool.stats().endpoints] == [(2, 2)]
    for lease in held:
        lease.release()
    assert [(e.in_flight, e.limit) for e in pool.stats().endpoints] == [(0, 2)]


class _Unhashable:
    __hash__ = None

    def __repr__(self) -> str:
        return "<unhashable>"


class _Raises:
    def __hash__(self) -> int:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        return "<raises>"


def pool_of(endpoints: Sequence[Endpoint | str], *, strategy: type[Strategy], health: None) -> Pool:
    """Return a pool with a registry of its own, so that no other test meets the strategy."""
    return Pool(endpoints, strategy=strategy, health=health, registry=Registry(group=None))


@cache
def _other() -> Pool:
    return pool_of([Endpoint("elsewhere")], strategy=_Scan, health=None)


def _of_another_pool(strategy: _Scan, node: Node) -> object:
    return _other().engine.core.ledger.strategy.nodes[0]  # it is a _Scan


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (_of_another_pool, "Node"),
        (lambda strategy, node: Node(node.endpoint), "Node"),
        (lambda strategy, node: "a", "str"),
        (lambda strategy, node: [node], "list"),
        (lambda strategy, node: _Unhashable(), "_Unhashable"),
        (lambda strategy, node: _Raises(), "_Raises"),
        (lambda strategy, node: strategy.gone[0], "Node"),
    ],
    ids=["other pool", "copy", "name", "list", "unhashable", "hash", "gone"],
)
def test_what_is_no_node_of_the_pool_is_a_strategy_error_of_one_line(answer, found):
    pool = pool_of([Endpoint("gone"), Endpoint("a")], strategy=_answering(answer), health=None)
    pool.drain("gone")
    with pytest.raises(StrategyError, match=rf"^strategy 'scan' picked a {found}, which is not a node in") as caught:
        pool.acquire(0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert [e.in_flight for e in pool.stats().endpoints] == [0, 0]
    assert [e.in_flight for e in _other().stats().endpoints] == [0]
    assert pool.leases() == ()
    pool.set_strategy("fifo")
    with pool.lease(timeout=0) as lease:
        assert lease.endpoint.name == "a"


def test_a_node_that_the_request_does_not_admit_is_a_strategy_error():
    pool = pool_of(["a", "b"], strategy=_answering(lambda strategy, node: strategy.nodes[0]), health=None)
    with pytest.raises(StrategyError, match=r"picked <Node a 0/1>, which cannot serve Request\(exclude=\{'a'\}\)$"):
        pool.acquire(0, exclude={"a"})


def test_whoever_waits_hears_of_it_as_well():
    answers = iter([True, False])
    kind = _answering(lambda strategy, node: node if next(answers) else object())
    pool = pool_of(["a"], strategy=kind, health=None)
    lease = pool.acquire(0)
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(pool.acquire, 10)
        until(lambda: pool.stats().waiting == 1)
        lease.release()
        with pytest.raises(StrategyError, match="which is not a node in service of this pool"):
            waits.result(PATIENCE_S)
    assert [e.in_flight for e in pool.stats().endpoints] == [0]


@pytest.mark.parametrize("nth", range(2, 9))
@pytest.mark.parametrize("wrong", ["raises", "answers"])
def test_a_slot_that_one_waiter_was_not_given_goes_to_the_next(wrong, nth):
    asked = 0

    def answer(strategy: _Scan, node: Node) -> object:
        nonlocal asked
        asked += 1
        if asked != nth:
            return node
        if wrong == "raises":
            raise ZeroDivisionError
        return "a stranger"

    with pool_of(["a"], strategy=_answering(answer), health=None) as pool, ThreadPoolExecutor(5) as threads:
        held = pool.acquire()

        def lease() -> str:
            try:
                with pool.lease(timeout=_WAIT_S) as lease:
                    return lease.endpoint.url
            except StrategyError:
                return "told"

        found = [threads.submit(lease) for _ in range(5)]
        until(lambda: pool.stats().waiting == 5)
        held.release()
        results = [each.result() for each in found]
        assert results.count("told") <= 1
        assert pool.stats().waiting == 0


# -- none, although one is free ------------------------------------------------------------------------


def _forgetful(times: int) -> type[Strategy]:
    """Pick none so many times, although an endpoint is free."""
    left = [times]

    def answer(strategy: _Scan, node: Node) -> Node | None:
        left[0] -= 1
        return node if left[0] < 0 else None

    return _answering(answer)


def test_a_wait_that_a_strategy_let_time_out_says_so():
    clock = ManualClock()
    pool = Pool(["a", "b"], strategy=_forgetful(99), clock=clock, health=None)
    core, now = pool.engine.core, clock()
    waiter = core.wait(Request(), now, now + 5.0, 0, lambda: None)
    core.cancel(waiter, now + 5.0, timed_out=True)
    assert isinstance(waiter.error, AcquireTimeout)
    assert waiter.error.reasons == {"passed over": 2}
    assert "; of 2 endpoints 2 are free, but the strategy picked none; mend the strategy: " in str(waiter.error)


def _raising(hook: str) -> type[Strategy]:
    def raises(*_: object) -> None:
        raise KeyError("my own")

    return type("Raising", (_Scan,), {hook: raises})


@pytest.mark.parametrize(
    ("hook", "act"),
    [
        ("__init__", lambda kind: Pool(["a"], strategy=kind, registry=Registry())),
        ("join", lambda kind: Pool(["a"], strategy=kind, registry=Registry())),
        ("pick", lambda kind: Pool(["a"], strategy=kind, registry=Registry()).acquire(0)),
        ("change", lambda kind: Pool(["a"], strategy=kind, registry=Registry()).update("a", capacity=2)),
        ("leave", lambda kind: Pool(["a"], strategy=kind, registry=Registry()).remove("a")),
    ],
)
def test_what_a_strategy_raises_names_it_and_its_hook(hook, act):
    with pytest.raises(StrategyError, match=rf"^strategy 'scan' raised KeyError\('my own'\) in {hook}$") as caught:
        act(_raising(hook))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_strategy_that_raises_as_a_lease_ends_hides_neither_an_error_nor_a_result(
    caplog,
):
    pool = Pool(["a"], strategy=_raising("finish"), registry=Registry())
    with pytest.raises(ZeroDivisionError), pool.lease(0):
        raise ZeroDivisionError
    assert pool.call(lambda lease: lease.endpoint.url) == "a"
    pool.acquire(0).release()
    assert [each.in_flight for each in pool.stats().endpoints] == [0]
    lines = [line.partition(", at")[0] for line in caplog.messages]
    assert lines == ["the strategy 'scan' raised KeyError in finish"]
