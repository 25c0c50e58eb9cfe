"""Lease durations: histograms of how long leases were waited for and held.

Decides which buckets there are and what is counted of a lease. Leases are counted only
from when somebody wants to know, so a pool that nobody asks pays nothing. It must not know who asks.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from balancer.core.account import Account
from balancer.core.metrics import WaitHistogram

__all__ = ["BOUNDS_S", "Buckets", "CountedWaits", "LeaseTimes", "count_hold", "counts_of_none", "holds_of"]

BOUNDS_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""The upper bounds of the buckets, in seconds, each one included; what is longer is in a last one."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Durations, counted.

    Attributes:
        counts: for each of `BOUNDS_S` how many were that long or shorter, but longer than the one before; the rest.
        total_s: the sum of all.
    """

    counts: tuple[int, ...]
    total_s: float

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """What was counted since somebody began to ask.

    Attributes:
        waits: of all grants since then, those counted that waited 0 s.
        holds: of the leases that have ended since then, by the name of their endpoint.
    """

    waits: Buckets
    holds: Mapping[str, Buckets]


def counts_of_none() -> list[int]:
    """Return a count for each bucket."""
    return [0] * (len(BOUNDS_S) + 1)


class CountedWaits(WaitHistogram):
    """A histogram of waits that counts by `BOUNDS_S` as well.

    Args:
        before: the waits so far, which stay in its summary.
        grants: leases granted so far; they are in no bucket.
    """

    __slots__ = ("_counts", "_grants", "_since_s")

    def __init__(self, before: WaitHistogram, grants: int) -> None:
        self._take_over(before)
        self._counts = counts_of_none()
        self._grants = grants
        self._since_s = self._total_s

    def add(self, wait_s: float) -> None:
        """Count one wait."""
        super().add(wait_s)
        if wait_s > 0:
            self._counts[bisect_left(BOUNDS_S, wait_s)] += 1

    def counted(self, grants: int) -> Buckets:
        """Return the waits since it was made; of the `grants` that there were in all, others waited 0 s."""
        at_once = grants - self._grants - sum(self._counts)
        return Buckets((self._counts[0] + at_once, *self._counts[1:]), self._total_s - self._since_s)


def count_hold(account: Account, held_s: float) -> None:
    """Count a lease of `account` that was held for so long."""
    if account.holds is None:
        account.holds = counts_of_none()
    account.held_s += held_s
    account.holds[bisect_left(BOUNDS_S, held_s)] += 1


def holds_of(accounts: Iterable[Account]) -> dict[str, Buckets]:
    """Return what was counted, by the name of the endpoint."""
    return {
        account.endpoint.name: Buckets(tuple(account.holds or counts_of_none()), account.held_s) for account in accounts
    }
