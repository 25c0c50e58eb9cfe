"""What the pool counts of calls: no figure looks well while calls fail."""

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, Outcome, Pool
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.testing.clock import ManualClock

QUICK = RetrySettings(base_s=0.001, max_pause_s=0.001)


def test_half_of_the_calls_failing_shows_in_the_rates_and_in_print():
    pool = Pool([Endpoint("a")], strategy="fifo", health=None)
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.OVERLOAD, Outcome.FAILURE, Outcome.IGNORED):
        pool.acquire().release(outcome)
    held = pool.acquire()
    with pytest.raises(AcquireTimeout):
        pool.acquire(timeout=0)
    stats = pool.stats()
    assert (stats.acquired, stats.timed_out, stats.acquire_rate) == (6, 1, 6 / 7)
    assert (stats.calls, stats.failures, stats.overloads, stats.failure_rate) == (4, 2, 1, 0.5)
    assert "6 granted, 4 calls: 2 failures (50.0%), 1 overloads" in repr(pool)
    held.release()


def test_retries_and_hedges_are_counted():
    pool = Pool([Endpoint("a"), Endpoint("b"), Endpoint("c")], strategy="fifo", health=None, retries=QUICK)

    def fails(lease: object) -> None:
        raise EndpointError("down")

    with pytest.raises(EndpointError):
        pool.call(fails, attempts=3)
    assert (pool.stats().retries, pool.stats().hedges) == (2, 0)
    pool.call(lambda lease: _slow_once(pool), hedge_after_s=0.0)
    assert (pool.stats().retries, pool.stats().hedges) == (2, 1)


def _slow_once(pool: Pool) -> None:
    while not pool.stats().hedges:  # the first run ends when the second has begun
        pass


def test_time_out_of_service_is_what_ejections_cost():
    clock = ManualClock()
    health = HealthSettings(consecutive_failures=1, cooldown_s=8.0, max_cooldown_s=8.0, slow_start_s=1.0)
    pool = Pool([Endpoint("a"), Endpoint("b")], strategy="fifo", clock=clock, seed=1, health=health)
    pool.acquire(exclude={"b"}).release(Outcome.FAILURE)
    clock.advance(1.5)
    stats = pool.stats()
    assert (stats.ejections, [e.ejections for e in stats.endpoints]) == (1, [1, 0])
    assert [e.out_s for e in stats.endpoints] == [1.5, 0.0]
    clock.advance(8.0)  # its cooldown is over: one lease at a time is no time out of service
    pool.stats()
    cooldown_s = pool.stats().endpoints[0].out_s
    assert cooldown_s == 9.5  # nobody called the pool in between, which is when it learned
    clock.advance(5.0)
    assert pool.stats().endpoints[0].out_s == cooldown_s
    pool.drain("a")
    clock.advance(5.0)
    pool.add(Endpoint("a"))
    stats = pool.stats()
    assert (stats.ejections, stats.endpoints[0].out_s) == (1, cooldown_s)


def test_an_endpoint_that_drains_while_it_is_ejected_is_out_no_longer():
    clock = ManualClock()
    health = HealthSettings(consecutive_failures=1, cooldown_s=100.0, max_cooldown_s=100.0)
    pool = Pool([Endpoint("a"), Endpoint("b")], strategy="fifo", clock=clock, seed=1, health=health)
    pool.acquire(exclude={"b"}).release(Outcome.FAILURE)
    clock.advance(2.0)
    pool.drain("a")
    clock.advance(2.0)
    assert pool.stats().endpoints[0].out_s == 2.0
    pool.add(Endpoint("a"))
    clock.advance(2.0)
    assert pool.stats().endpoints[0].out_s == 2.0
