"""Leases that nobody has any more come back; those that somebody has stay out, whatever became of their thread."""

from itertools import islice

import pytest

from balancer import AcquireTimeout, Endpoint, HealthSettings, Lease, LeaseError, Outcome, Pool
from balancer.core.events import Abandoned, Ended, Event
from balancer.shells.waiting import AbandonedLeaseScan
from balancer.strategy import ANY
from balancer.testing import ManualClock
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.threads.crew import in_background, in_time, until

_RULES = pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])


def _in_flight(pool: Pool) -> int:
    return sum(endpoint.in_flight for endpoint in pool.stats().endpoints)


# -- nobody has it ---------------------------------------------------------------------------------


@_RULES
def test_the_lease_of_a_thread_that_is_gone_comes_back(health):
    heard: list[Event] = []
    pool = Pool(["a"], health=health)
    pool.observe(heard.append, {Abandoned, Ended})

    def forget() -> None:
        lease = pool.lease()
        assert lease.endpoint.name == "a"

    in_time(forget)
    assert _in_flight(pool) == 0
    told = [(type(event), event.lease_id) for event in heard if isinstance(event, Abandoned | Ended)]
    assert told == [(Abandoned, 1), (Ended, 1)]
    assert [event.outcome for event in heard if isinstance(event, Ended)] == [Outcome.IGNORED]
    assert pool.stats().calls == 0


@_RULES
def test_one_who_waits_already_is_served_when_it_is_forgotten(health, monkeypatch):
    """Nobody calls the pool meanwhile: whoever waits looks."""
    monkeypatch.setattr("balancer.shells.engine._FIRST_LOOK_S", 0.01)
    monkeypatch.setattr("balancer.shells.waiting._EVERY_S", 0.01)
    pool = Pool(["a"], health=health)
    held = [pool.lease()]
    thread, came = in_background(lambda: pool.lease().release())
    until(lambda: pool.stats().waiting == 1)
    held.clear()
    thread.join(PATIENCE_S)
    assert came == [None]
    assert _in_flight(pool) == 0


def test_one_who_waits_looks_less_and_less_often_but_every_eight_seconds():
    pool = Pool(["a"], clock=ManualClock(0.0))
    held = pool.acquire()
    waiter = pool.engine.core.wait(ANY, 0.0, 40.0, 0, lambda: None)
    assert list(islice(pool.engine.waits._naps_until(40.0, waiter), 8)) == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 1.0]
    held.release()


@pytest.mark.parametrize("name", NAMES)
def test_the_strategy_learns_of_it(name):
    pool = Pool([Endpoint("a", capacity=2), Endpoint("b")], strategy=name, seed=1)
    for _ in range(7):
        pool.lease()
        pool.lease(slots=2)
        pool.stats()
    leases = [pool.acquire(0) for _ in range(3)]
    assert sorted(lease.endpoint.name for lease in leases) == ["a", "a", "b"]


# -- somebody has it -------------------------------------------------------------------------------


def test_a_lease_that_was_handed_to_another_thread_stays_out_when_its_own_is_gone():
    pool = Pool(["a"])
    handed: list[Lease] = []
    in_time(lambda: handed.append(pool.lease()))
    for _ in range(3):
        assert _in_flight(pool) == 1
        with pytest.raises(AcquireTimeout):
            pool.acquire(timeout=0)
    in_time(lambda: handed.pop().release())
    assert _in_flight(pool) == 0


def test_one_with_a_holder_or_a_ttl_may_be_given_back_by_its_id_alone():
    clock = ManualClock()
    pool = Pool([Endpoint("a", capacity=2)], clock=clock)
    first = pool.acquire(holder="remote").id
    second = pool.acquire(ttl_s=5000.0).id
    clock.advance(1000.0)
    assert [row.id for row in pool.leases()] == [first, second]
    pool.release_by_id(first)
    pool.release_by_id(second)
    assert _in_flight(pool) == 0


def test_one_that_was_acquired_by_hand_and_dropped_is_let_be_for_a_second():
    clock = ManualClock()
    pool = Pool(["a"], clock=clock)
    number = pool.acquire().id
    assert _in_flight(pool) == 1
    clock.advance(0.9)
    assert [row.id for row in pool.leases()] == [number]
    clock.advance(0.2)
    assert pool.leases() == ()
    with pytest.raises(LeaseError):
        pool.release_by_id(number)


# -- looking ---------------------------------------------------------------------------------------


def test_of_many_leases_not_each_who_waits_looks_but_somebody_does_each_second():
    scan = AbandonedLeaseScan()
    assert [scan.is_due(17, 0.5) for _ in range(7)] == [True, False, False, True, False, False, True]
    assert [scan.is_due(1000, now) for now in (1.4, 1.5, 1.6)] == [False, True, False]
    assert [scan.is_due(8, 1.6) for _ in range(3)] == [True, True, True]
