"""Calls of a pool from within a call of it, in the same thread: finalisers, signal handlers, strategies, observers.

A release is done when the outer call is over. An acquire is refused. The outer call goes on as if nothing had been.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from balancer_strategies.fifo import Fifo

from balancer import AcquireTimeout, CallFromWithin, Endpoint, Lease, Pool, PoolClosed
from balancer.settings.rules import HealthSettings
from tests.patience import PATIENCE_S
from tests.threads.crew import assert_nothing_lost, in_time
from tests.threads.interrupts import LEASING, points
from tests.threads.waiter import WaitingThread


def _waits(pool: Pool) -> None:
    with suppress(AcquireTimeout):
        pool.acquire(timeout=0.001, labels={"busy"}).release()


_OUTER: dict[str, Callable[[Pool], object]] = {
    "lease": lambda pool: pool.acquire(timeout=0).release(),
    "wait": _waits,
    "call": lambda pool: pool.call(lambda lease: None, attempts=1),
    "stats": lambda pool: pool.stats(),
    "add": lambda pool: pool.add("http://new"),
    "update": lambda pool: pool.update("b", weight=2.0),
}


def _pool() -> tuple[Pool, Lease]:
    """Return a pool with one free slot, and the lease of the other one."""
    pool = Pool([Endpoint("a"), Endpoint("b", labels=frozenset({"busy"}))], seed=1, health=HealthSettings())
    return pool, pool.acquire(labels={"busy"})


@pytest.mark.sampled(3)
@pytest.mark.parametrize("outer", _OUTER)
def test_a_release_at_any_point_of_a_call_is_done_when_the_call_is_over(outer, caplog):
    for handle in points(*LEASING, least=10):
        pool, busy = _pool()
        waiter = WaitingThread(pool, 30, labels={"busy"})  # it is handed the slot, and is woken
        where = handle(lambda pool=pool: _OUTER[outer](pool), busy.release)
        if where is None:
            busy.release()
        waiter.join(PATIENCE_S)
        assert waiter.ended_with == "b", f"{waiter.ended_with} after a release at {where}"
        assert [each.in_flight for each in pool.stats().endpoints[:2]] == [0, 0], where
        assert pool.stats().waiting == 0, where
    assert not caplog.messages


@pytest.mark.sampled(3)
@pytest.mark.parametrize("outer", _OUTER)
def test_a_lease_at_any_point_of_a_call_is_granted_or_refused_and_the_call_goes_on(outer):
    """As a signal handler does it that leases, with a timeout. It is granted where the lock is free."""
    answers = set()
    for handle in points(*LEASING, least=10):
        pool, busy = _pool()

        def act(pool: Pool = pool) -> None:
            try:
                pool.acquire(timeout=0.001, labels={"busy"}).release()
            except (AcquireTimeout, CallFromWithin) as error:
                answers.add(type(error))

        where = handle(lambda pool=pool: _OUTER[outer](pool), act)
        busy.release()
        assert in_time(lambda pool=pool: pool.acquire(30, labels={"busy"}).release(), where) is None
        assert [each.in_flight for each in pool.stats().endpoints[:2]] == [0, 0], where
    assert answers == {AcquireTimeout, CallFromWithin}


def _from_within(pool: Pool) -> dict[str, Callable[[], object]]:
    return {
        "acquire": lambda: pool.acquire(timeout=0),
        "lease": lambda: pool.lease(timeout=0),
        "call": lambda: pool.call(lambda lease: None),
        "add": lambda: pool.add("http://new"),
        "drain": lambda: pool.drain("a"),
        "remove": lambda: pool.remove("a"),
        "update": lambda: pool.update("a", capacity=2),
        "set_strategy": lambda: pool.set_strategy("fifo"),
        "stats": pool.stats,
        "leases": pool.leases,
        "endpoints": pool.endpoints,
        "out_of_service": pool.out_of_service,
    }


class _Busybody(Fifo):
    """A strategy that does what it is told when it is asked."""

    name = "busybody"
    acts: Callable[[], object] | None = None

    def pick(self, request: Any, now: float) -> Any:
        act, type(self).acts = self.acts, None
        if act is not None:
            act()
        return super().pick(request, now)


@pytest.fixture
def busybody():
    yield _Busybody
    _Busybody.acts = None


@pytest.mark.parametrize("what", sorted(_from_within(Pool())))
def test_what_needs_an_answer_is_refused_in_one_line(what, busybody):
    pool = Pool(["a", "b"], strategy=busybody)
    busybody.acts = staticmethod(_from_within(pool)[what])
    with pytest.raises(CallFromWithin) as refusal:
        pool.acquire(timeout=0)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300
    assert_nothing_lost(pool, 2)


def test_a_strategy_may_release_and_close(busybody):
    pool = Pool(["a", "b"], strategy=busybody)
    first = pool.acquire(timeout=0)
    busybody.acts = staticmethod(first.release)
    second = pool.acquire(timeout=0)
    assert first.ended
    assert not second.ended
    busybody.acts = staticmethod(pool.close)
    third = pool.acquire(timeout=0)
    with pytest.raises(PoolClosed):
        pool.acquire(timeout=0)
    second.release()
    third.release()


def test_a_handler_that_comes_within_the_retry_budget_does_not_wait_for_itself():
    """Else the thread would wait for a lock that it holds, for ever."""
    pool = Pool(["a", "b"])

    def call() -> None:
        pool.call(lambda lease: None)

    for handle in points("balancer/core/budget.py", least=3):
        in_time(lambda handle=handle: handle(call, call))
    assert_nothing_lost(pool, 2)
