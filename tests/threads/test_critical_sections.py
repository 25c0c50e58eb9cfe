"""What must happen under the pool's lock, and which thread does what is due: made to meet, not hoped to.

Each test fails if one line of a critical section is wrong; tests/mutants says which.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointOverloaded, Pool
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.engine import SharedBudget
from balancer.shells.waiting import Alarm
from balancer.testing import ManualClock
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.threads.interrupts import points


class _Overtaken:
    """A lock before which somebody else comes first: `act` is done once, before the first has it."""

    def __init__(self, lock: Any, act: Callable[[], object]) -> None:
        self._lock = lock
        self._act: Callable[[], object] | None = act
        self.release, self._is_owned = lock.release, lock._is_owned

    def acquire(self) -> object:
        act, self._act = self._act, None
        if act is not None:
            act()
        return self._lock.acquire()


def test_two_updates_at_once_are_both_kept():
    pool = Pool([Endpoint("a")])
    pool.engine.lock = _Overtaken(pool.engine.lock, lambda: pool.update("a", weight=2.0))
    pool.update("a", capacity=3)
    endpoint = pool.acquire(timeout=0).endpoint
    assert (endpoint.capacity, endpoint.weight) == (3, 2.0)


# -- the timer -----------------------------------------------------------------------------------------


def _resting(clock: Callable[[], float]) -> Pool:
    """Return a pool whose only endpoint rests for a second, by that clock."""
    pool = Pool([Endpoint("a")], health=HealthSettings(), clock=clock)
    with suppress(EndpointOverloaded), pool.lease():
        raise EndpointOverloaded("busy", retry_after_s=1.0)
    return pool


def test_only_the_timer_in_force_does_what_is_due():
    """One that was replaced, and rang all the same, finds that another has taken its place."""
    clock = ManualClock()
    pool = _resting(clock)
    thread = threading.Thread(target=lambda: pool.lease(timeout=PATIENCE_S).release(), daemon=True)
    thread.start()
    until(lambda: pool.stats().waiting == 1 and pool.engine._alarm._timer is not None)
    timer = pool.engine._alarm._timer
    assert timer is not None
    timer.cancel()  # the clock stands still for it as well
    clock.advance(2.0)
    pool.engine._tick()  # as a thread that is not the timer of now
    assert pool.stats().waiting == 1
    assert pool.engine._alarm._timer is timer
    timer.function()  # nor is this one
    assert pool.stats().waiting == 1
    pool.engine._alarm._timer = threading.current_thread()
    pool.engine._tick()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_ring_that_comes_too_late_takes_nobody_s_place():
    answers: list[bool] = []
    alarm = Alarm(lambda: answers.append(alarm.rings()), ManualClock())
    early = alarm.arm(1e6 + 5.0)
    assert early is not None
    late = alarm.arm(1e6)
    assert late is not None, "what is due sooner has a timer of its own"
    late.start()
    try:
        early.function()  # it had begun to ring as it was cancelled
        assert answers == [False]
        assert alarm.arm(1e6 + 9.0) is None, "the timer in force was forgotten"
    finally:
        alarm.cancel()


def test_a_timer_that_is_replaced_is_cancelled():
    alarm = Alarm(lambda: None, ManualClock())
    first, second = alarm.arm(1e6), alarm.arm(1e5)
    assert first is not None
    assert second is not None
    assert first.finished.is_set()
    assert not second.finished.is_set()


def test_a_timer_that_has_died_is_replaced():
    alarm = Alarm(lambda: None, ManualClock())
    assert alarm.arm(1e6) is not None  # and is never started, as where the machine has no more threads
    assert alarm.arm(1e6) is not None


# -- interrupts ----------------------------------------------------------------------------------------

_LEASING = (
    "balancer/core/",
    "balancer/pool/pool.py",
    "balancer/shells/engine.py",
    "balancer/shells/waiting.py",
    "balancer/endpoint.py",
)


@pytest.mark.parametrize("what", ["acquire", "release"])
def test_an_interrupt_at_any_point_leaves_the_count_of_a_host_right(what):
    """What is out on a host is what the table of leases says; with all of them ended, all of its slots are free."""
    for interrupt in points(*_LEASING, least=20):
        host = [Endpoint(name, host="m") for name in "ab"]
        pool = Pool(host, host_caps={"m": 1}, seed=1, health=None)
        lease = pool.acquire(timeout=0) if what == "release" else None
        where = interrupt(lease.release if lease else partial(pool.acquire, timeout=0))
        out = pool.leases()
        if not out:
            pool.acquire(timeout=0)  # raises if the host counts a lease that is none
            out = pool.leases()
        assert len(out) == 1, f"interrupted at {where}"
        with pytest.raises(AcquireTimeout):  # else the host counts too few
            pool.acquire(timeout=0)
        for row in out:
            pool.release_by_id(row.id)
        pool.acquire(timeout=0)


# -- the budget ----------------------------------------------------------------------------------------


def test_the_budget_reads_its_clock_under_its_lock():
    """Else a thread that was held up between the two would give it a time that lies before what it has seen."""
    held: list[bool] = []
    budget: SharedBudget

    def clock() -> float:
        held.append(budget._lock._is_owned())
        return 0.0

    budget = SharedBudget(RetrySettings(), clock)
    budget.try_spend()
    budget.wait_s()
    assert held == [True] * 2
