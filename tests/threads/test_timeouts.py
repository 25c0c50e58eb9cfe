"""Time-outs: kept exactly, and never at the cost of a slot, even at the very moment of a release."""

import random
import statistics
import time

import pytest

from balancer import AcquireTimeout, Endpoint, Pool
from tests.patience import stretched
from tests.registered import NAMES
from tests.threads.crew import assert_nothing_lost, crew, switching_often


@pytest.mark.parametrize("timeout_s", [0.0, 0.01, 0.05])
def test_a_timeout_is_kept(timeout_s):
    """Never early; late by what the machine takes to wake a thread, at the median of nine."""
    pool = Pool([Endpoint("a")])
    pool.acquire()
    over_s = []
    for _ in range(9):
        started_s = time.monotonic()
        with pytest.raises(AcquireTimeout) as caught:
            pool.acquire(timeout=timeout_s)
        over_s.append(time.monotonic() - started_s - timeout_s)
        assert caught.value.waited_s >= timeout_s
    assert min(over_s) >= 0
    assert statistics.median(over_s) < stretched(0.05)
    assert pool.stats().timed_out == 9


@pytest.mark.sampled(7)
@pytest.mark.parametrize("name", NAMES)
def test_no_slot_is_lost_when_a_wait_ends_at_the_moment_of_a_release(name):
    pool = Pool([Endpoint("a"), Endpoint("b")], strategy=name, seed=1)
    served, late = [0] * 6, [0] * 6

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(400):
            try:
                with pool.lease(timeout=rng.uniform(0, 3e-4)):
                    time.sleep(rng.uniform(0, 2e-4))
                served[number] += 1
            except AcquireTimeout:
                late[number] += 1

    with switching_often():
        crew(6, work)
    stats = pool.stats()
    assert (stats.acquired, stats.timed_out) == (sum(served), sum(late))
    assert sum(served) > 100, "too few were served to tell"
    assert sum(late) > 100, "too few ran out of time to tell"
    assert_nothing_lost(pool, 2)
