"""A thousand changes in a minute under load: no call is lost, nobody flaps. `tests.discovery.churn` has the run."""

import pytest

from balancer.testing.clock import ManualClock
from tests.discovery.churn import Churn


def _run(changes, *, threads, seed):
    """Make changes 60 ms apart by the pool's clock, while threads make calls as fast as they can."""
    clock = ManualClock()
    churn = Churn(clock, threads=threads, call_s=0.0002, seed=seed)
    churn.begin()
    for _ in range(changes):
        churn.change()
        clock.advance(0.06)
    seen = churn.end()
    assert seen.lost == []
    assert seen.flaps == []
    assert seen.least >= 20, "at most half may leave at once"
    assert seen.calls > 0
    return churn


def test_a_hundred_changes_lose_no_call_and_nobody_flaps():
    assert _run(100, threads=2, seed=1).left > 5


@pytest.mark.more
@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_changes_lose_no_call_and_nobody_flaps(seed):
    assert _run(1000, threads=16, seed=seed).left > 100
