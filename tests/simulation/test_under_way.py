"""What is under way at the end counts as longer than so far: left out, it would make times look shorter."""

import pytest

from tests.simulation.scenarios import at, closed, endpoint, run


def test_requests_under_way_are_open_with_their_age_and_waits_with_theirs():
    """One slot, works of 1 s and 90 s at 0, and of 1 s at 90: at 100 the second runs, the third waits since 90."""
    record = run(at([0.0, 0.0, 90.0], [1.0, 900.0, 1.0]))
    assert record.unfinished == 2
    assert record.sojourn.most == 100.0
    assert record.wait.most == 10.0
    assert (record.sojourn.count, record.wait.count) == (1, 2)
    assert record.metrics["sojourn_mean_s"] == pytest.approx(1 / 3 + 100 * 2 / 3, rel=0.022)


def test_a_request_that_pauses_before_a_retry_does_not_wait():
    faults = [{"kind": "fail_within", "after_s": 1.0}]
    slow = {"base_s": 2000.0, "max_pause_s": 3600.0}  # drawn from 0 to an hour; with this seed it is long
    record = run(at([0.0], 1.0, endpoint(faults=faults), requests={"attempts": 9}, retries=slow))
    assert (record.unfinished, record.wait.most, record.wait.count) == (1, 0.0, 1)


def test_who_waits_for_a_retry_is_open_from_then():
    """The call fails at 1; the only other endpoint is busy for good, so it waits from 1 to the end at 100."""
    quick = endpoint("a", faults=[{"kind": "fail_within", "after_s": 1.0}])
    record = run(at([0.0, 0.0], [1000.0, 1000.0], quick, endpoint("b"), requests={"attempts": 9}))
    assert record.unfinished == 2
    assert record.wait.most == 99.0


def test_what_came_in_the_warm_up_is_not_open():
    record = run(at([0.0, 20.0], [1000.0, 1.0], warmup_s=10.0))
    assert (record.unfinished, record.sojourn.most, record.wait.most) == (1, 80.0, 80.0)


def test_a_worker_whose_call_never_ends_is_open():
    record = run(closed(2, 0.0, 1000.0))
    assert (record.unfinished, record.wait.most) == (2, 100.0)


def test_the_middle_of_the_time_that_counts_is_looked_at():
    """From 20 to 100 the middle is 60: by then the second and third had come, and the third is under way."""
    record = run(at([0.0, 30.0, 50.0, 70.0], [1.0, 1.0, 20.0, 1.0], warmup_s=20.0))
    assert record.halfway == (2, 1)
    assert record.arrived == 3
