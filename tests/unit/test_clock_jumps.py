"""A clock that leaps an hour ahead between two calls of a pool, as after a suspend: what was due is due, no more."""

import json

import pytest

from balancer import Endpoint, HealthSettings, LeaseError, Outcome, Pool, QuotaSettings, RetrySettings

_HOUR_S = 3600.0


class _Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s

    def leap(self) -> None:
        self.now_s += _HOUR_S


@pytest.fixture
def clock():
    return _Clock()


def test_a_lease_with_a_longest_time_is_over_and_its_slot_is_free(clock):
    with Pool(["http://a/"], clock=clock) as pool:
        lease = pool.acquire(ttl_s=600.0)
        clock.leap()
        pool.acquire(0.0).release()
        assert lease.ended
        with pytest.raises(LeaseError):
            lease.release()


def test_a_lease_without_one_goes_on(clock):
    with Pool(["http://a/"], clock=clock) as pool:
        lease = pool.acquire()
        clock.leap()
        (row,) = pool.leases()
        assert row.age_s == _HOUR_S
        assert not lease.ended
        lease.release()
        assert pool.stats().endpoints[0].in_flight == 0


def test_a_quota_has_all_its_room_again_and_not_more(clock):
    endpoint = Endpoint("http://a/", capacity=9, quota="q")
    with Pool([endpoint], quotas={"q": QuotaSettings(requests_per_min=2)}, clock=clock) as pool:
        for _ in range(3):
            leases = [pool.acquire(0.0) for _ in range(2)]
            (quota,) = pool.stats().quotas
            assert (quota.requests, quota.room_in_s) == (2, 60.0)
            clock.leap()
            for lease in leases:
                lease.release()
        (quota,) = pool.stats().quotas
        assert (quota.requests, quota.room_in_s) == (0, 0.0)


def test_an_endpoint_that_was_set_aside_is_on_trial_and_no_more(clock):
    with Pool([Endpoint("http://a/", capacity=4), "http://b/"], health=HealthSettings(), clock=clock) as pool:
        while "http://a/" not in pool.out_of_service():
            pool.acquire(0.0, exclude={"http://b/"}).release(Outcome.FAILURE)
        clock.leap()
        probe = pool.acquire(0.0, exclude={"http://b/"})
        assert pool.acquire(0.0).endpoint.name == "http://b/"
        probe.release()


def test_retries_of_before_are_forgotten_with_the_attempts_that_earned_them(clock):
    with Pool(["http://a/"], retries=RetrySettings(budget_per_s=0.1, budget_window_s=10.0), clock=clock) as pool:
        budget = pool.engine.budget
        assert budget.try_spend(clock())
        assert not budget.try_spend(clock())
        clock.leap()
        assert budget.try_spend(clock())
        assert not budget.try_spend(clock()), "an hour earns no more than a window does"


def test_the_rows_of_a_trace_stay_in_order(clock, tmp_path):
    with Pool(["http://a/"], clock=clock) as pool, pool.trace(tmp_path / "t.jsonl"):
        lease = pool.acquire()
        clock.leap()
        lease.release()
        pool.acquire().release()
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    held = [row["ended_s"] - row["granted_s"] for row in rows if row["row"] == "attempt"]
    assert sorted(held) == [0.0, _HOUR_S]
