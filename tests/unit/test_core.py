"""The core and its two ledgers, by example; the properties are in tests/properties."""

import random
from typing import Any

import pytest
from balancer_strategies.fifo import Fifo

from balancer.answers import Load
from balancer.core import Core
from balancer.core.strategy_calls import has_no_room
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import (
    AcquireTimeout,
    LeaseError,
    NoEndpoint,
    PoolClosed,
    StrategyError,
    UnknownEndpoint,
)
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Node, Request
from balancer.testing.doubles import FakeLender
from tests.unit.ruled import Scan, woken


def core_of(*specs: Endpoint, strategy: Any = None, max_waiters: int | None = None) -> Core:
    chosen = strategy or default_registry().strategy("fifo", None, random.Random(0))
    return Core(specs, chosen, lender=FakeLender(), max_waiters=max_waiters, now=0.0)


def wait(core: Core, now: float = 0.0, deadline_s: float = 100.0, request: Request = ANY, priority: int = 0) -> Any:
    assert core.acquire(request, now) is None
    return core.wait(request, now, deadline_s, priority, woken)


def taken(core: Core, request: Request = ANY, now: float = 0.0) -> Lease:
    lease = core.acquire(request, now)
    assert lease is not None
    return lease


def test_a_freed_slot_goes_to_the_oldest_waiter():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    first, second = wait(core, 1.0), wait(core, 2.0)
    assert core.release(lease, Outcome.SUCCESS, 5.0) == [first]
    assert (first.lease.id, first.lease.granted_s) == (2, 5.0)
    assert not second.ended
    assert core.waiting == 1


def test_a_level_of_priority_is_worth_ten_seconds():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    plain = wait(core, 1.0)
    just_late, just_in_time = wait(core, 11.5, priority=1), wait(core, 20.5, priority=2)
    order = []
    for _ in range(3):
        (waiter,) = core.release(lease, Outcome.SUCCESS, 30.0)
        order.append(waiter)
        lease = waiter.lease
    assert order == [just_in_time, plain, just_late]


def test_a_waiter_that_asks_for_something_else_keeps_its_place():
    """It came between two that ask for what it asks for now, so it is served between them."""
    core = core_of(Endpoint("a"), Endpoint("b"))
    a, b = taken(core), taken(core)
    first = wait(core, 1.0, request=Request(exclude=frozenset("b")))
    retry = wait(core, 2.0, request=Request(exclude=frozenset("a")))
    last = wait(core, 3.0, request=Request(exclude=frozenset("b")))
    assert not core.amend(retry, Request(exclude=frozenset("b")), 4.0)
    assert not core.amend(retry, Request(exclude=frozenset("b")), 4.5)
    assert core.waiting == 3
    assert not core.release(b, Outcome.SUCCESS, 5.0)
    assert core.release(a, Outcome.SUCCESS, 6.0) == [first]
    assert core.release(first.lease, Outcome.SUCCESS, 7.0) == [retry]
    assert core.release(retry.lease, Outcome.SUCCESS, 8.0) == [last]
    assert core.counters(9.0)[1]["timed_out"] == 0
    assert core.counters(9.0)[2].summary(5).max == 5.0  # its wait, too, counts from when it asked first


def test_a_waiter_past_its_deadline_is_told_so_and_the_slot_goes_on():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    late, patient = wait(core, 1.0, deadline_s=2.0), wait(core, 1.5)
    assert core.release(lease, Outcome.SUCCESS, 2.0) == [late, patient]
    assert isinstance(late.error, AcquireTimeout)
    assert (late.error.waited_s, late.error.timeout_s) == (1.0, 1.0)
    assert patient.lease is not None


def test_a_larger_capacity_serves_as_many_as_it_can():
    core = core_of(Endpoint("a"))
    taken(core)
    waiters = [wait(core, float(n)) for n in range(4)]
    assert core.update(Endpoint("a", capacity=3), 10.0) == waiters[:2]
    assert core.add(Endpoint("b"), 11.0) == waiters[2:3]
    assert core.waiting == 1


def test_waiters_that_nobody_could_ever_serve_are_told_at_once():
    core = core_of(Endpoint("a", labels=frozenset({"gpu"})), Endpoint("b"))
    leases = [taken(core), taken(core)]
    gpu, plain = wait(core, request=Request(labels=frozenset({"gpu"}))), wait(core)
    assert core.drain("a", 1.0) == [gpu]
    assert isinstance(gpu.error, NoEndpoint)
    assert "labels ['gpu']" in str(gpu.error)
    assert (gpu.error.labels, gpu.error.endpoints) == ({"gpu"}, 1)
    assert core.remove("b", 1.0) == [plain]
    with pytest.raises(NoEndpoint):
        core.wait(ANY, 1.0, 2.0, 0, woken)
    for lease in leases:
        core.release(lease, Outcome.SUCCESS, 2.0)
    assert [account.endpoint.url for account in core.ledger.accounts()] == ["a"]  # drained stays, removed goes


def test_a_closed_core_grants_nothing_but_takes_back():
    core = core_of(Endpoint("a", capacity=2))
    lease = taken(core)
    assert list(core.close(3.0)) == []
    assert core.closed
    with pytest.raises(PoolClosed):
        core.acquire(ANY, 1.0)
    assert list(core.release(lease, Outcome.SUCCESS, 1.0)) == []
    assert "0/2 in flight" in repr(core)
    assert repr(core).endswith("closed")


def test_a_close_that_was_cut_short_still_fails_all_who_wait(monkeypatch):
    core = core_of(Endpoint("a"))
    taken(core)
    waiter = wait(core)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(core, "_fail", interrupted)
        with pytest.raises(KeyboardInterrupt):
            core.close(1.0)
    core.shells.append({waiter: None})
    core.recover(2.0)
    assert isinstance(waiter.error, PoolClosed)


def test_one_that_retires_cannot_be_made_to_stay_by_draining_it():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    core.remove("a", 1.0)
    core.drain("a", 1.0)
    assert core.counters(1.0)[0][0].state == "retiring"
    core.release(lease, Outcome.SUCCESS, 2.0)
    assert core.counters(2.0)[0] == []


@pytest.mark.parametrize("method", ["drain", "remove"])
def test_an_unknown_url_is_refused_with_the_nearest(method):
    core = core_of(Endpoint("http://a/"))
    with pytest.raises(UnknownEndpoint, match=r"nearest: .*http://a/") as caught:
        getattr(core, method)("http://aa/", 0.0)
    assert str(caught.value).startswith("no endpoint 'http://aa/' among the 1 of the pool")
    assert isinstance(caught.value, KeyError)


def test_a_second_return_says_which_lease():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    core.release(lease, Outcome.SUCCESS, 1.0)
    with pytest.raises(LeaseError, match=r"lease 1: <Lease 1 of a, ended> was already released") as caught:
        core.release(lease, Outcome.SUCCESS, 1.0)
    assert caught.value.lease_id == 1


# -- a strategy that fails -------------------------------------------------------------------------


class _CannotJoin(Fifo):
    def join(self, node: Node, now: float) -> None:
        node.note = "overwritten"
        if node.endpoint.url == "b":
            raise RuntimeError("cannot join")


@pytest.mark.parametrize("name", sorted(default_registry().strategies))
def test_a_strategy_that_cannot_take_over_leaves_the_old_one_in_force(name):
    core = core_of(Endpoint("a"), Endpoint("b"), strategy=default_registry().strategy(name, None, random.Random(0)))
    lease = taken(core)
    with pytest.raises(StrategyError, match=r"^strategy 'fifo' raised RuntimeError\('cannot join'\) in join$"):
        core.set_strategy(_CannotJoin(None, random.Random(0)), 1.0)
    core.release(lease, Outcome.SUCCESS, 2.0)
    assert {taken(core).endpoint.url, taken(core).endpoint.url} == {"a", "b"}
    assert core.ledger.strategy.name == name


def test_a_time_out_that_comes_after_the_lease_changes_nothing():
    core = core_of(Endpoint("a"))
    lease = taken(core)
    waiter, other = wait(core, 1.0, deadline_s=5.0), wait(core, 2.0)
    assert core.release(lease, Outcome.SUCCESS, 4.9) == [waiter]
    assert not core.cancel(waiter, 5.1, timed_out=True)
    assert waiter.error is None
    assert core.counters(5.1)[1]["timed_out"] == 0
    assert core.release(waiter.lease, Outcome.SUCCESS, 6.0) == [other]


class _PicksTheFull(Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return self.nodes[0]


@pytest.mark.parametrize("asked", [ANY, Request(exclude=frozenset("b"))], ids=["anything", "something"])
def test_a_strategy_that_picks_what_is_full_is_refused_and_nothing_is_granted(asked):
    core = core_of(Endpoint("a"), strategy=_PicksTheFull())
    lease = taken(core, asked)
    with pytest.raises(StrategyError, match="picked"):
        core.acquire(asked, 1.0)
    assert [stats.in_flight for stats in core.counters(1.0)[0]] == [1]
    core.release(lease, Outcome.SUCCESS, 2.0)
    assert [stats.in_flight for stats in core.counters(2.0)[0]] == [0]


class _PicksNothing(Fifo):
    """Has its reasons: it may keep slots back, as a strategy that rations does."""

    def pick(self, request: Request, now: float) -> Node | None:
        return None


def test_who_waits_is_served_by_a_new_strategy_at_once():
    core = core_of(Endpoint("a"), strategy=_PicksNothing(None, random.Random(0)))
    first, second = wait(core, 1.0), wait(core, 2.0)
    ended = core.set_strategy(default_registry().strategy("fifo", None, random.Random(0)), 3.0)
    assert ended == [first]
    assert first.lease.endpoint.url == "a"
    assert not second.ended


# -- the queue by itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("knows", [False, True])
def test_a_strategy_whose_add_was_cut_short_knows_the_endpoint_after_the_repair(knows):
    strategy = default_registry().strategy("fifo", None, random.Random(0))
    core = core_of(Endpoint("a"), strategy=strategy)
    join = strategy.join

    def interrupted(node: Node, now: float) -> None:
        strategy.join = join
        if knows:
            join(node, now)
        raise KeyboardInterrupt

    strategy.join = interrupted
    with pytest.raises(KeyboardInterrupt):
        core.add(Endpoint("b"), 1.0)
    told: list[float] = []
    change = strategy.change

    def changed(node: Node, now: float) -> None:
        told.append(now)
        change(node, now)

    strategy.change = changed
    core.recover(2.0)
    assert set(told) == {2.0}
    assert {taken(core).endpoint.name, taken(core).endpoint.name} == {"a", "b"}
    assert core.acquire(ANY, 3.0) is None


def test_tokens_and_load_are_counted_for_leases_of_this_core_that_are_out():
    core, other = core_of(Endpoint("a")), core_of(Endpoint("a"))
    lease = taken(core)
    for tell in (lambda it: it.used(lease, 1, 1.0), lambda it: it.told(lease, Load(), 1.0)):
        tell(core)
        with pytest.raises(LeaseError, match="granted by another pool; report it there"):
            tell(other)
    core.release(lease, Outcome.SUCCESS, 1.0)
    with pytest.raises(LeaseError, match="report on a call before its lease ends"):
        core.used(lease, 1, 1.0)


@pytest.mark.parametrize(("frames", "no_room"), [(2, True), (99, True), (100, False), (300, False)])
def test_a_call_that_begins_too_deep_is_told_from_one_that_fills_the_stack(frames, no_room):
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        raise RecursionError

    with pytest.raises(RecursionError) as caught:
        deeper(frames - 2)  # and this one, and the last
    assert has_no_room(caught.value) is no_room
    assert not has_no_room(ValueError())
