"""The retry budget, and the pause before a retry.

When most calls fail, three attempts each would triple the load on the endpoints that are left. The budget prevents
that. It is Finagle's `RetryBudget`: every first attempt adds a part of a retry, and time adds more. Attempts and
retries older than a window no longer count.
"""

import math
import random
from collections import deque
from typing import Protocol

from balancer.settings.rules import RetrySettings

__all__ = ["LONGEST_ASKED_S", "Budget", "RetryBudget", "pause_s"]

# The most of a Retry-After that counts. A server may ask for days, or for more than a thread can wait; a call that
# seems to hang helps nobody. After a minute the server is asked again.
LONGEST_ASKED_S = 60.0

# A window is counted in so many parts, so it needs the same memory at any rate. An attempt is forgotten at most one
# part too early, and a retry one part too late. So the budget is never exceeded.
_PARTS = 64
_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996


class Budget(Protocol):
    """The budget that a plan uses. A shell with threads gives a thread-safe one."""

    def try_spend(self, now: float) -> bool:
        """Take one retry out of the budget. Return False if there is none."""
        ...

    def wait_s(self, now: float) -> float:
        """Return the seconds until a retry is possible if there is no call until then; inf: never."""
        ...


class RetryBudget:
    """Retries allowed by the first attempts of the last `budget_window_s` seconds.

    When a retry is granted, the retries of the last window, with this one, are at most `budget_ratio` x the first
    attempts of that window + `budget_per_s` x `budget_window_s`. All methods cost O(1), amortised. `now` must not go
    back.

    Args:
        settings: ratio, rate and window.

    Source: Finagle, `com.twitter.finagle.service.RetryBudget` (a leaky token bucket with a reserve).
    """

    def __init__(self, settings: RetrySettings) -> None:
        self._ratio = settings.budget_ratio
        self._reserve = settings.budget_per_s * settings.budget_window_s
        self._part_s = settings.budget_window_s / _PARTS
        self._attempts = _Recent(_PARTS)
        self._retries = _Recent(_PARTS + 1)

    def attempted(self, now: float, attempts: int = 1) -> None:
        """Count a first attempt, or several."""
        self._attempts.add(self.part(now), attempts)

    def try_spend(self, now: float) -> bool:
        """Take one retry out of the budget. Return False if there is none."""
        if self.balance(now) < 1 - _ROUNDING:
            return False
        self._retries.add(self.part(now))
        return True

    def balance(self, now: float) -> float:
        """Return how many retries are left. Below 0 if attempts that earned them no longer count."""
        part = self.part(now)
        return self._ratio * self._attempts.count(part) + self._reserve - self._retries.count(part)

    def wait_s(self, now: float) -> float:
        """Return the seconds until a retry is possible if there is no call until then; inf: never."""
        balance = self.balance(now)
        if balance >= 1 - _ROUNDING:
            return 0.0
        # Of changes at the same instant, losses are sorted before gains.
        ends = [(end, float(count)) for end, count in self._retries.ends()]
        ends += [(end, -self._ratio * count) for end, count in self._attempts.ends()]
        for end, gain in sorted(ends):
            balance += gain
            if balance >= 1 - _ROUNDING:
                return (end + _ROUNDING) * self._part_s - now  # never just too early
        return math.inf

    def part(self, now: float) -> int:
        """Return the number of the part of time that `now` is in."""
        return math.floor(now / self._part_s)


class _Recent:
    """Counts events of the last `life` parts of time."""

    def __init__(self, life: int) -> None:
        self._life = life
        self._buckets: deque[tuple[int, int]] = deque()  # (part, events in it), oldest first
        self._total = 0

    def add(self, part: int, events: int = 1) -> None:
        self._total += events
        if self._buckets and self._buckets[-1][0] >= part:
            last, count = self._buckets.pop()
            self._buckets.append((last, count + events))
        else:
            self._buckets.append((part, events))

    def count(self, part: int) -> int:
        """Forget the events that are too old at `part`, and return the number of the others."""
        while self._buckets and part - self._buckets[0][0] >= self._life:
            self._total -= self._buckets.popleft()[1]
        return self._total

    def ends(self) -> list[tuple[int, int]]:
        """Return (part, events): at which part how many events will be too old."""
        return [(part + self._life, count) for part, count in self._buckets]


def pause_s(settings: RetrySettings, retry: int, rng: random.Random) -> float:
    """Return how long to pause before the `retry`-th retry (1, 2, ...), in seconds.

    It is drawn between 0 and twice its mean, so that calls that failed together do not come back together.

    Source: "full jitter", Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015.
    """
    doublings = min(retry, 64)  # more would only overflow
    return rng.uniform(0.0, min(settings.max_pause_s, settings.base_s * 2.0**doublings))
