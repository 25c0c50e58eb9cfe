"""What the pool counts of calls: no figure looks well while calls fail."""

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, Outcome, Pool
from balancer.settings.rules import RetrySettings

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
