"""The retry budget against its definition, counted out by hand; and pauses."""

import math
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.core.budget import RetryBudget, pause_s
from balancer.settings.rules import RetrySettings
from balancer.shells.engine import SharedBudget


def budget(ratio: float = 0.0, per_s: float = 0.0) -> RetryBudget:
    return RetryBudget(RetrySettings(budget_ratio=ratio, budget_per_s=per_s))


def spent(budget: RetryBudget, now: float, most: int = 10_000) -> int:
    """Take what there is."""
    for count in range(most):
        if not budget.try_spend(now):
            return count
    return most


# -- the budget ----------------------------------------------------------------------------------------


# A fifth of a part of the window (10 / 64 s), so that instants are exact and fall within and between parts.
_gaps = st.integers(0, 40).map(lambda n: n / 32) | st.sampled_from([10.0, 20.0])
_events = st.lists(st.tuples(_gaps, st.sampled_from(["attempt", "retry", "retry", "retries"])), max_size=120)
_settings = st.builds(
    RetrySettings,
    budget_ratio=st.sampled_from([0.0, 0.125, 0.5, 2.0]),
    budget_per_s=st.sampled_from([0.0, 0.0625, 0.25, 1.0]),
)


@given(_settings, _events)
def test_no_window_that_ends_with_a_retry_has_more_than_it_earned(settings, events):
    some, now = RetryBudget(settings), 100.0
    attempts: list[float] = []
    retries: list[float] = []
    for gap_s, event in events:
        now += gap_s
        if event == "attempt":
            some.attempted(now)
            attempts.append(now)
        elif event == "retry":
            retries += [now] * some.try_spend(now)
        else:
            retries += [now] * spent(some, now, most=30)
    window_s = settings.budget_window_s
    for end in retries:
        earned = settings.budget_ratio * sum(end - window_s < at <= end for at in attempts)
        earned += settings.budget_per_s * window_s
        assert sum(end - window_s < at <= end for at in retries) <= earned


@given(_settings, _events)
def test_a_retry_that_is_earned_is_not_refused(settings, events):
    """Even if every retry is counted for one part of the window longer, and every attempt for one part less."""
    some, now = RetryBudget(settings), 100.0
    part_s = settings.budget_window_s / 64
    attempts: list[float] = []
    retries: list[float] = []
    for gap_s, event in events:
        now += gap_s
        if event == "attempt":
            some.attempted(now)
            attempts.append(now)
            continue
        earned = settings.budget_ratio * sum(at > now - settings.budget_window_s + part_s for at in attempts)
        earned += settings.budget_per_s * settings.budget_window_s
        left = earned - sum(at > now - settings.budget_window_s - part_s for at in retries)
        granted = some.try_spend(now)
        assert granted or left < 1
        retries += [now] * granted


@given(_settings, _events)
def test_the_wait_is_exact(settings, events):
    """After it there is a retry; just before there is none."""
    some, now = RetryBudget(settings), 100.0
    for gap_s, event in events:
        now += gap_s
        some.attempted(now) if event == "attempt" else some.try_spend(now)
    wait_s = some.wait_s(now)
    assert (wait_s == 0.0) == (some.balance(now) >= 1)
    if wait_s == math.inf:
        assert not some.try_spend(now + 3 * settings.budget_window_s)
    elif wait_s > 0:
        assert some.balance(now + wait_s - settings.budget_window_s / 640) < 1
        assert some.try_spend(now + wait_s)


# -- pauses --------------------------------------------------------------------------------------------


def test_a_pause_is_drawn_between_nothing_and_twice_its_mean():
    """Uniform on [0, 2m]: the mean of n has a standard error of m / sqrt(3 n); four of them are 1.2% here."""
    rng, settings = random.Random(1), RetrySettings(base_s=0.5, max_pause_s=100.0)
    for retry, mean_s in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0)]:
        drawn = [pause_s(settings, retry, rng) for _ in range(40_000)]
        assert 0 <= min(drawn) <= 0.01 * mean_s
        assert 1.99 * mean_s <= max(drawn) <= 2 * mean_s
        assert sum(drawn) / len(drawn) == pytest.approx(mean_s, rel=0.012)


@pytest.mark.parametrize("retry", [1, 5, 100, 10_000])
def test_no_pause_is_longer_than_the_longest(retry):
    settings = RetrySettings(base_s=1.0, max_pause_s=1.5)
    assert all(pause_s(settings, retry, random.Random(seed)) <= 1.5 for seed in range(50))


def test_a_shared_budget_that_is_asked_from_within_spends_nothing():
    """As by a finaliser that runs within a call of it, and may not wait for its lock."""
    told: list[tuple[bool, float]] = []

    def clock() -> float:
        if budget._lock._is_owned():
            told.append((budget.try_spend(), budget.wait_s()))
        return 0.0

    budget = SharedBudget(RetrySettings(budget_ratio=1.0, budget_per_s=1.0), clock)
    budget.attempted()
    assert budget.try_spend()
    assert set(told) == {(False, math.inf)}


def test_a_shared_budget_has_a_lock_that_is_free_in_a_forked_child():
    budget = SharedBudget(RetrySettings(budget_ratio=1.0, budget_per_s=1.0), lambda: 0.0)
    holder = threading.Thread(target=budget._lock.acquire)
    holder.start()
    holder.join()
    budget.forked(1)
    budget.attempted()
    assert budget.try_spend()
