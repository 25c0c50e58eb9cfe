"""Lease durations: histograms of how long leases were waited for and held.

Leases are counted only after somebody has asked for that. So other pools pay nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from balancer.core.account import Account
from balancer.core.metrics import StatsField, WaitHistogram

__all__ = ["BOUNDS_S", "Buckets", "CountedWaits", "LeaseTimes", "count_hold", "holds_of"]

BOUNDS_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""The upper bounds of the buckets, in seconds, inclusive. One more bucket is for longer durations."""

_BUCKETS: Final = len(BOUNDS_S) + 1


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram of durations.

    Attributes:
        counts: for each of `BOUNDS_S`, how many were at most that long and longer than the bound before; last, the
            rest.
        total_s: the sum of all.
    """

    counts: tuple[int, ...]
    total_s: float

    @property
    def count(self) -> int:
        """How many durations there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The durations since they are counted.

    Attributes:
        waits: of all grants since then, also those that waited 0 s.
        holds: of the leases that have ended since then, by the name of their endpoint.
    """

    waits: Annotated[Buckets, StatsField("histogram", "wait_seconds", "Waits for granted leases; 0 for those at once.")]
    holds: Annotated[
        Mapping[str, Buckets], StatsField("histogram", "hold_seconds", "Times that leases were held.", {"endpoint": ()})
    ]


class CountedWaits(WaitHistogram):
    """A histogram of waits that also counts by `BOUNDS_S`.

    Args:
        before: the waits so far, which stay in its summary.
        grants: leases granted so far; they are in no bucket.
    """

    def __init__(self, before: WaitHistogram, grants: int) -> None:
        super().__init__()
        self.add_all(before)
        self._counts = [0] * _BUCKETS
        self._grants = grants
        self._since_s = self._total_s

    def add(self, wait_s: float) -> None:
        super().add(wait_s)
        if wait_s > 0:
            self._counts[bisect_left(BOUNDS_S, wait_s)] += 1

    def counted(self, grants: int) -> Buckets:
        """Return the waits since it was made. `grants`: all grants so far; those that were not added waited 0 s."""
        at_once = grants - self._grants - sum(self._counts)
        return Buckets((self._counts[0] + at_once, *self._counts[1:]), self._total_s - self._since_s)


def count_hold(account: Account, held_s: float) -> None:
    """Count a lease of `account` that was held for `held_s` seconds."""
    if account.holds is None:
        account.holds = [0] * _BUCKETS
    account.held_s += held_s
    account.holds[bisect_left(BOUNDS_S, held_s)] += 1


def holds_of(accounts: Iterable[Account]) -> dict[str, Buckets]:
    """Return the hold times, by the name of the endpoint."""
    return {
        account.endpoint.name: Buckets(tuple(account.holds or [0] * _BUCKETS), account.held_s) for account in accounts
    }
