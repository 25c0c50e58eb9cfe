"""Ctrl-C and its like: whoever waits and is interrupted keeps no lease, and nobody is left with a locked pool."""

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, Lease, LeaseError, Pool, PoolClosed
from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.settings.rules import HealthSettings, HolderSettings, RetrySettings
from tests.patience import PATIENCE_S
from tests.registered import NAMES, few_first
from tests.threads.crew import assert_nothing_lost, in_background, in_time, until
from tests.threads.interrupts import LEASING, Interrupted, points
from tests.threads.waiter import WaitingThread

_OF_A_CALL = ("balancer/core/", "balancer/kit/", "balancer/shells/", "balancer/endpoint.py", "_strategies/")
_LOOK = RetryPolls.look


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_in_a_thread_that_is_just_served_gives_the_lease_back(name, caplog):
    pool = Pool([Endpoint("a")], strategy=name)
    lease = pool.acquire()
    waiter = WaitingThread(pool, None)
    waiter.interrupt()
    lease.release()  # the slot is handed to it, and then it wakes to its interruption
    waiter.join(PATIENCE_S)
    assert isinstance(waiter.ended_with, Interrupted)
    assert pool.stats().acquired == 2
    assert_nothing_lost(pool, 1)
    assert not caplog.messages, "it was given back, not found as a lease that nobody has any more"


@pytest.fixture
def alarm():
    """Make SIGUSR1 raise `Interrupted` in the main thread, as Ctrl-C raises KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread only"
)
def test_a_signal_ends_a_wait_at_once(alarm):
    pool = Pool([Endpoint("a")])
    lease = pool.acquire()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    started_s = time.monotonic()
    with pytest.raises(Interrupted):
        pool.acquire(timeout=PATIENCE_S)
    assert time.monotonic() - started_s < PATIENCE_S / 10
    lease.release()
    assert_nothing_lost(pool, 1)


def test_an_interrupt_at_any_point_of_a_wait_leaves_nobody_in_the_queue():
    """Else the next slot would go to a caller that is gone; or a group of nobody would stop every later hand-off."""
    for interrupt in points(*LEASING, least=20):
        pool = Pool([Endpoint("a")], strategy="fifo")
        lease = pool.acquire()
        where = interrupt(lambda pool=pool: _wait_in_vain(pool))
        in_time(pool.stats, where)
        assert pool.stats().waiting == 0, f"interrupted at {where}"
        other, _ = in_background(lambda pool=pool: pool.acquire(10, priority=1).release())
        until(lambda pool=pool: pool.stats().waiting == 1)
        lease.release()
        other.join(PATIENCE_S)
        assert_nothing_lost(pool, 1)


@pytest.mark.more
def test_an_interrupt_at_any_point_leaves_the_counts_of_holders_right():
    """Else a holder with as many leases as it may have would never get another one."""
    for interrupt in points(*LEASING, least=30):
        bounded = {"*": HolderSettings(max_leases=1, max_waiters=1)}
        pool = Pool([Endpoint("a", capacity=2)], strategy="fifo", fairness="holder", holders=bounded)
        where = interrupt(lambda pool=pool: _wait_behind_itself(pool))
        counts = {(each.in_flight, each.waiting) for each in pool.stats().holders}
        assert counts <= {(0, 0)}, f"interrupted at {where}"
        pool.acquire(0).release()


def _wait_behind_itself(pool: Pool) -> None:
    """Lease as the holder without a name, which may have one lease and one waiter."""
    with pool.lease(timeout=0), suppress(AcquireTimeout):
        pool.acquire(timeout=0.001)


# The lease is on its way from the pool to the hand of the call here, after the end of a function in Python. The tests
# count that as a point as after any call; CPython looks for signals only after calls of functions in C.
_ON_THE_WAY = ("CallDriver.take_at_once, ", "ThreadDriver.lease, ")


@pytest.mark.more
@pytest.mark.parametrize(
    "health", [pytest.param(None, id="plain", marks=pytest.mark.more), pytest.param(HealthSettings(), id="ruled")]
)
def test_an_interrupt_at_any_point_of_a_call_whose_retry_waits_loses_no_slot_and_leaves_nobody_in_the_queue(
    health, monkeypatch
):
    """The first attempt fails at a; the retry waits for b, which is busy, looks again, and is served."""
    monkeypatch.setattr("balancer.core.attempt_plan._FIRST_LOOK_S", 0.001)
    for interrupt in points(*_OF_A_CALL, least=200):
        pool = Pool(["http://a", "http://b"], strategy="first", retries=RetrySettings(base_s=0.0), health=health)
        busy = pool.acquire(exclude={"http://a"})
        free = threading.Thread(target=busy.release)
        went: list[str] = []

        def look(looks: RetryPolls, core: Core, waiter: Waiter, now: float, free: threading.Thread = free) -> object:
            if free.ident is None:
                free.start()  # ends once this thread lets go of the lock
            return _LOOK(looks, core, waiter, now)

        def fn(lease: Lease, went: list[str] = went) -> None:
            went.append(lease.endpoint.name)
            if len(went) == 1:
                raise EndpointError("down")

        monkeypatch.setattr(RetryPolls, "look", look)
        where = interrupt(lambda pool=pool, fn=fn: pool.call(fn))
        if free.ident is None:
            free.start()
        free.join(PATIENCE_S)
        assert pool.engine.budget._lock.acquire(timeout=PATIENCE_S), f"interrupted at {where}: the budget is locked"
        stats = pool.stats()
        assert stats.waiting == 0, f"interrupted at {where}"
        if any(endpoint.in_flight for endpoint in stats.endpoints):
            assert where is not None
            assert where.startswith(_ON_THE_WAY), f"interrupted at {where}: {pool!r}"
            until(lambda pool=pool: not any(endpoint.in_flight for endpoint in pool.stats().endpoints))  # in a second
    assert went == ["http://a", "http://b"]


@pytest.mark.more
def test_a_signal_handler_may_close_the_pool_at_any_point_of_a_release():
    for interrupt in points(*LEASING, least=10):
        pool = Pool([Endpoint("a")])
        lease = pool.acquire()
        waiter = WaitingThread(pool, 5)
        where = interrupt(lease.release, pool.close)
        waiter.join(PATIENCE_S)
        assert isinstance(waiter.ended_with, str | PoolClosed), f"{waiter.ended_with} after a handler at {where}"
        assert [e.in_flight for e in pool.stats().endpoints] == [0], f"a handler at {where}"


def _four_blocks(pool: Pool) -> None:
    for _ in range(3):
        with pool.lease(timeout=0):
            pass
    pool.lease(timeout=0).release()


def _wait_in_vain(pool: Pool) -> None:
    with suppress(AcquireTimeout):
        pool.acquire(timeout=0.001)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_an_interrupt_at_any_point_costs_no_slot(name):
    """Neither by the pool's figures, nor by the books of the strategy."""
    for interrupt in points(*LEASING, least=30):
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy=name, seed=1)
        where = interrupt(lambda pool=pool: _four_blocks(pool))
        assert [e.in_flight for e in pool.stats().endpoints] == [0, 0], f"interrupted at {where}"
        pool.add(Endpoint("c", capacity=2))
        leases = [pool.acquire(timeout=0) for _ in range(4)]
        assert sorted(lease.endpoint.name for lease in leases) == ["a", "b", "c", "c"], f"interrupted at {where}"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])
@pytest.mark.parametrize("what", ["release", "close"])
def test_an_interrupt_at_any_point_of_what_ends_a_wait_leaves_nobody_asleep(what, health):
    """Whoever waits is woken: by that call, by the next one, or by closing at the latest."""
    for interrupt in points(*LEASING, least=20):
        pool = Pool([Endpoint("a"), Endpoint("b")], seed=1, health=health, host_caps={"*": 2} if health else None)
        first, second = pool.acquire(), pool.acquire()
        waiter = WaitingThread(pool, None)
        where = interrupt(first.release if what == "release" else pool.close)
        with suppress(LeaseError):
            second.release()
        pool.close()
        waiter.join(PATIENCE_S)
        assert not waiter.is_alive(), f"interrupted at {where}"
