"""Ctrl-C and its like: an interrupted thread keeps no lease, and nobody is left with a locked pool or asleep.

Each scene is interrupted at each of its points in turn. Tasks: `test_any_depth`, and `tests/tasks`.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

import pytest

from balancer import AcquireTimeout, Endpoint, LeaseError, Pool
from balancer.settings.rules import HealthSettings
from tests.patience import PATIENCE_S
from tests.registered import NAMES, few_first
from tests.threads.crew import assert_nothing_lost, in_background, in_time, until
from tests.threads.interrupts import LEASING, Interrupted, points
from tests.threads.waiter import WaitingThread


def _blocks(pool: Pool) -> None:
    for _ in range(3):
        with pool.lease(timeout=0):
            pass


def _wait(pool: Pool) -> None:
    with suppress(AcquireTimeout):
        pool.acquire(timeout=0.001)


# -- at each point ---------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_an_interrupt_at_any_point_of_blocks_costs_no_slot(name):
    """Neither by the pool's figures, nor by the books of the strategy."""
    for interrupt in points(*LEASING, least=30):
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy=name, seed=1)
        where = interrupt(lambda pool=pool: _blocks(pool))
        assert [e.in_flight for e in pool.stats().endpoints] == [0, 0], f"interrupted at {where}"
        pool.add(Endpoint("c", capacity=2))
        leases = [pool.acquire(timeout=0) for _ in range(4)]
        assert sorted(lease.endpoint.name for lease in leases) == ["a", "b", "c", "c"], f"interrupted at {where}"


def test_an_interrupt_at_any_point_of_a_wait_leaves_nobody_in_the_queue():
    """Else the next slot would go to a caller that is gone; or a group of nobody would stop every later hand-off."""
    for interrupt in points(*LEASING, least=20):
        pool = Pool([Endpoint("a")], strategy="fifo")
        lease = pool.acquire()
        where = interrupt(lambda pool=pool: _wait(pool))
        in_time(pool.stats, where)
        assert (pool.stats().waiting, len(pool.engine.waits.places)) == (0, 0), f"interrupted at {where}"
        other, _ = in_background(lambda pool=pool: pool.acquire(PATIENCE_S, priority=1).release())
        until(lambda pool=pool: pool.stats().waiting == 1)
        lease.release()
        other.join(PATIENCE_S)
        assert_nothing_lost(pool, 1)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])
@pytest.mark.parametrize("what", ["release", "close"])
def test_an_interrupt_at_any_point_of_what_ends_a_wait_leaves_nobody_asleep(what, health):
    """Whoever waits is woken: by that call, by the next one, or by closing at the latest."""
    for interrupt in points(*LEASING, least=10):
        pool = Pool([Endpoint("a"), Endpoint("b")], seed=1, health=health, host_caps={"*": 2} if health else None)
        first, second = pool.acquire(), pool.acquire()
        waiter = WaitingThread(pool, None)
        where = interrupt(first.release if what == "release" else pool.close)
        with suppress(LeaseError):
            second.release()
        pool.close()
        waiter.join(PATIENCE_S)
        assert not waiter.is_alive(), f"interrupted at {where}"


# -- by the system ---------------------------------------------------------------------------------


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


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread only"
)
def test_a_signal_ends_a_wait_at_once():
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    pool = Pool([Endpoint("a")])
    lease = pool.acquire()
    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    started_s = time.monotonic()
    with pytest.raises(Interrupted):
        pool.acquire(timeout=PATIENCE_S)
    assert time.monotonic() - started_s < PATIENCE_S / 10
    signal.signal(signal.SIGUSR1, before)
    lease.release()
    assert_nothing_lost(pool, 1)
