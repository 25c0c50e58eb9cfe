"""Waits, fairness and balance in numbers, held against the definitions worked out the long way."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from balancer.core.metrics import (
    BUCKETS_PER_OCTAVE,
    EndpointStats,
    PoolStats,
    WaitHistogram,
    WaitStats,
    balance_score,
    jain_index,
)

# A bucket is 1/32 of an octave wide, and its middle stands for it: at most half a bucket off, 2**(1/64).
_TOLERANCE = 2 ** (1 / 64) * (1 + 1e-9)

_waits_s = st.lists(st.floats(1e-9, 1e6) | st.sampled_from((0.001, 0.002, 1.0, 30.0)), max_size=200)


def summary_of(waits_s, grants):
    histogram = WaitHistogram()
    for wait_s in waits_s:
        histogram.add(wait_s)
    return histogram.summary(grants)


@given(waits_s=_waits_s, at_once=st.integers(0, 300))
def test_the_quantiles_are_those_of_the_sorted_list(waits_s, at_once):
    grants = len(waits_s) + at_once
    everything = sorted([0.0] * at_once + waits_s)
    summary = summary_of(waits_s, grants)
    for found, q in (
        (summary.p50, Fraction(50, 100)),
        (summary.p90, Fraction(90, 100)),
        (summary.p99, Fraction(99, 100)),
    ):
        exact = everything[math.ceil(q * grants) - 1] if grants else 0.0  # nearest rank
        assert exact / _TOLERANCE <= found <= exact * _TOLERANCE


@given(waits_s=_waits_s, at_once=st.integers(0, 300))
def test_mean_and_max_are_exact(waits_s, at_once):
    grants = len(waits_s) + at_once
    summary = summary_of(waits_s, grants)
    assert summary.max == max(waits_s, default=0.0)
    assert math.isclose(summary.mean, sum(waits_s) / grants if grants else 0.0, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        ([], 1.0),
        ([0, 0, 0], 1.0),
        ([5], 1.0),
        ([3, 3, 3], 1.0),
        ([1, 0, 0, 0], 0.25),
        ([1, 2, 3], 36 / (3 * 14)),
        ([1e-200, 1e-200], 1.0),
        ([1e300, 0.0], 0.5),
    ],
)
def test_jains_index(shares, index):
    assert jain_index(shares) == pytest.approx(index)


@pytest.mark.parametrize(
    ("counts", "score"), [([], 1.0), ([4], 1.0), ([7, 7, 7], 1.0), ([0, 2], 1 / 2), ([1, 2, 3], 1 / (1 + 2 / 3))]
)
def test_the_balance_score_is_one_over_one_plus_the_variance(counts, score):
    assert balance_score(counts) == pytest.approx(score)


def endpoint(url, leases, weight=1.0):
    return EndpointStats(
        url, state="active", in_flight=0, limit=1, leases=leases, failures=0, share=0.0, busy_s=0.0, weight=weight
    )


def stats_of(endpoints, acquired, timed_out):
    waits = WaitHistogram()
    return PoolStats.of(endpoints, strategy="fifo", acquired=acquired, timed_out=timed_out, waiting=1, waits=waits)


def test_the_pool_is_fair_by_weight_and_balanced_by_count():
    stats = stats_of([endpoint("a", 20, 2.0), endpoint("b", 10)], acquired=30, timed_out=10)
    assert stats.jain == pytest.approx(1.0)
    assert stats.balance_score == pytest.approx(1 / 26)
    assert stats.acquire_rate == 0.75


def test_stats_go_to_json_and_back():
    stats = stats_of([endpoint("a", 3), endpoint("b", 4)], acquired=7, timed_out=1)
    assert TypeAdapter(PoolStats).validate_python(json.loads(json.dumps(stats.to_dict()))) == stats


def test_the_waits_since_a_copy_are_those_that_came_after_it():
    waits = WaitHistogram()
    for wait_s in (8.0, 1.0):
        waits.add(wait_s)
    before = waits.copy()
    assert waits.since(before).summary(1) == WaitStats()
    for wait_s in (1.0, 1.0, 4.0):
        waits.add(wait_s)
    later = waits.since(before).summary(3)
    assert later.mean == pytest.approx(2.0)
    assert later.p50 == pytest.approx(1.0, rel=0.02)
    assert 4.0 <= later.max <= 4.0 * 2 ** (1 / BUCKETS_PER_OCTAVE)
    waits.add(16.0)
    assert waits.since(before).summary(4).max == 16.0
