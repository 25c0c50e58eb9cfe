"""An outage by itself: it begins with a failure, ends with any success, and is waited for so long."""

import pytest

from balancer.core.outage import PoolOutage


def test_before_anything_has_succeeded_nothing_has():
    assert PoolOutage(1.0).failed(0.0) == 0


def test_it_begins_with_the_first_failure_and_ends_with_any_success():
    outage = PoolOutage(10.0)
    assert not outage.excuses(0, 0.0), "nothing has failed"
    outage.failed(5.0)
    outage.failed(14.0)
    assert outage.excuses(0, 14.5)
    assert not outage.excuses(0, 15.0), "ten seconds since the first failure, not since the last"
    outage.succeeded()
    assert not outage.excuses(1, 5.0)
    assert outage.failed(20.0) == 1
    assert outage.excuses(1, 29.5)
    assert not outage.excuses(0, 29.5), "one has succeeded since: it is the call that fails"


@pytest.mark.parametrize("tried_s", [0.0, 5.0])
def test_without_patience_nothing_is_excused(tried_s):
    outage = PoolOutage(0.0)
    outage.failed(5.0)
    assert not outage.excuses(0, tried_s)
