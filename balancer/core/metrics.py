"""Statistics of a pool: its endpoints, leases, quotas and waiting times.

Decides how waits are summarised and what "fair" and "balanced" mean in numbers. Pure: it is handed
times and counts, and must not know clocks, locks or who counts.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor, log2
from typing import Any

__all__ = [
    "BUCKETS_PER_OCTAVE",
    "EndpointStats",
    "LeaseRow",
    "PoolStats",
    "QuotaStats",
    "WaitHistogram",
    "WaitStats",
    "balance_score",
    "jain_index",
]


def jain_index(shares: Iterable[float]) -> float:
    """Return Jain's fairness index of `shares`: 1 when all are equal, 1/n when one has everything.

    Source: Jain, Chiu, Hawe, DEC-TR-301 (1984): (sum x)^2 / (n sum x^2). No share at all counts as fair.
    """
    values = list(shares)
    most = max(values, default=0.0)
    if most == 0:
        return 1.0
    parts = [x / most for x in values]  # the index does not change, and no square is too large or too small
    return sum(parts) ** 2 / (len(parts) * sum(x * x for x in parts))


def balance_score(counts: Iterable[float]) -> float:
    """Return 1 / (1 + population variance of `counts`): 1 when all endpoints had equally many leases."""
    values = list(counts)
    if not values:
        return 1.0
    mean = sum(values) / len(values)
    return 1.0 / (1.0 + sum((x - mean) ** 2 for x in values) / len(values))


@dataclass(frozen=True, slots=True)
class WaitStats:
    """How long granted acquires waited, in seconds. All zero when nothing was granted."""

    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


# 32 buckets an octave: a bucket's geometric middle is within 2**(1/64) - 1 = 1.1% of everything in it.
BUCKETS_PER_OCTAVE = 32


class WaitHistogram:
    """Waits in buckets of 2.2% width, so that a million cost no more memory than a hundred.

    `add` costs O(1); most grants need no wait at all, and those the caller only counts: see `summary`.
    """

    __slots__ = ("_buckets", "_max_s", "_total_s")

    def __init__(self) -> None:
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self._total_s = 0.0
        self._max_s = 0.0

    def add(self, wait_s: float) -> None:
        """Count one wait."""
        if wait_s > 0:
            bucket = floor(log2(wait_s) * BUCKETS_PER_OCTAVE)
            self._buckets[bucket] += 1
            self._total_s += wait_s
            if wait_s > self._max_s:
                self._max_s = wait_s

    def copy(self) -> "WaitHistogram":
        """Return an independent copy; O(buckets), a few hundred at most."""
        twin = WaitHistogram()
        twin._take_over(self)
        return twin

    def since(self, before: "WaitHistogram") -> "WaitHistogram":
        """Return the waits that came after `before` was copied from this; O(buckets). Of `max` it knows the bucket."""
        later = WaitHistogram()
        for bucket, count in self._buckets.items():
            if fresh := count - before._buckets.get(bucket, 0):
                later._buckets[bucket] = fresh
        later._total_s = self._total_s - before._total_s
        if later._buckets:
            later._max_s = min(self._max_s, math.exp2((max(later._buckets) + 1) / BUCKETS_PER_OCTAVE))
        return later

    def _take_over(self, other: "WaitHistogram") -> None:
        self._buckets = other._buckets.copy()
        self._total_s, self._max_s = other._total_s, other._max_s

    def summary(self, grants: int) -> WaitStats:
        """Return mean and quantiles over `grants` grants, those not added here having waited 0 s."""
        if not grants:
            return WaitStats()
        p50, p90, p99 = (self._quantile(q, grants) for q in (0.5, 0.9, 0.99))
        return WaitStats(mean=self._total_s / grants, p50=p50, p90=p90, p99=p99, max=self._max_s)

    def _quantile(self, q: float, grants: int) -> float:
        beyond = grants - math.ceil(q * grants)  # how many grants waited longer than the one we look for
        for bucket in sorted(self._buckets, reverse=True):
            if beyond < self._buckets[bucket]:
                return min(self._max_s, math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE))
            beyond -= self._buckets[bucket]
        return 0.0


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint's counters.

    Attributes:
        url, name, weight, capacity: its spec.
        state: "active", "draining" (no new leases) or "retiring" (gone when its last lease ends).
        in_flight: slots leased now.
        limit: slots in force now; 0 unless active.
        leases: leases granted so far.
        successes, failures, overloads, ignored: leases that ended so.
        share: its part of all leases granted by the endpoints listed, 0..1.
        busy_s: slot-seconds leased so far, leases still out included.
        health: "healthy", "ejected", "half_open", "slow_start", "resting", or "spent": its account has nothing left, so
            it is out until it is added again; "" where health is not watched.
        ejections: how often it was ejected, a failed probe counted as well.
        out_s: seconds that it was in service and yet served nobody: ejected, at rest or spent.
    """

    url: str
    state: str
    in_flight: int
    limit: int
    leases: int
    failures: int
    share: float
    busy_s: float
    overloads: int = 0
    capacity: int = 1
    weight: float = 1.0
    health: str = ""
    ejections: int = 0
    out_s: float = 0.0
    name: str = ""
    successes: int = 0
    ignored: int = 0

    def __post_init__(self) -> None:
        if not self.name:  # of a file that was written before endpoints had names
            object.__setattr__(self, "name", self.url)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One lease that is out.

    Attributes:
        id, endpoint, slots: what `Lease` says: its id, the name of its endpoint, how many of its slots.
        holder: whose it is; "" if nobody said.
        since_s, age_s: when it was granted by the pool's clock, and how long ago that is.
        where: file and line at which it was acquired, if the pool has a `leak_after_s`; else "".
    """

    id: int
    endpoint: str
    holder: str
    since_s: float
    age_s: float
    slots: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class QuotaStats:
    """How much of a quota is used at one instant, in the minute that ends with it.

    Attributes:
        name: what it is called; of `quotas["*"]` each endpoint has its own, called like it.
        endpoints: the names of those that it is for.
        requests, tokens: that count now; of tokens what was reserved, or told since.
        requests_per_min, tokens_per_min: the most; None: any number.
        room_in_s: seconds until there is room for a call that reserves the quota's own estimate; 0: there is.
    """

    name: str
    endpoints: tuple[str, ...]
    requests: int
    requests_per_min: int | None
    tokens: int
    tokens_per_min: int | None
    room_in_s: float


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The whole pool at one instant.

    Attributes:
        endpoints: in the order they were added.
        strategy: name of the strategy in force.
        acquired, timed_out: acquires that got a lease, and that ran out of time.
        waiting: waiters now.
        acquire_rate: acquired / (acquired + timed_out); 1 before the first acquire. It says nothing of the calls.
        wait_s: how long the granted ones waited.
        jain: Jain's index over endpoints of leases / weight.
        balance_score: 1 / (1 + variance of lease counts).
        calls: leases that ended and say something of their endpoint: all but those whose outcome is `IGNORED`.
        failures, overloads: calls that ended so.
        failure_rate: failures / calls; 0 before the first call.
        retries, hedges: calls made again because one failed, and made a second time because it was slow.
        ejections: how often an endpoint was ejected, those counted that have gone.
        quotas: how much of each quota is used, in the order of their endpoints.

    The counts of calls, failures, overloads and ejections include endpoints that are no longer listed.
    """

    endpoints: tuple[EndpointStats, ...]
    strategy: str
    acquired: int
    timed_out: int
    waiting: int
    acquire_rate: float
    wait_s: WaitStats
    jain: float
    balance_score: float
    calls: int = 0
    failures: int = 0
    overloads: int = 0
    failure_rate: float = 0.0
    retries: int = 0
    hedges: int = 0
    ejections: int = 0
    quotas: tuple[QuotaStats, ...] = ()

    @classmethod
    def of(
        cls,
        endpoints: Sequence[EndpointStats],
        *,
        strategy: str,
        acquired: int,
        timed_out: int,
        waiting: int,
        waits: WaitHistogram,
        calls: int = 0,
        failures: int = 0,
        quotas: Sequence[QuotaStats] = (),
        **others: int,
    ) -> "PoolStats":
        """Derive the pool's figures from its counters; `others` are taken as they are."""
        asked = acquired + timed_out
        return cls(
            endpoints=tuple(endpoints),
            strategy=strategy,
            acquired=acquired,
            timed_out=timed_out,
            waiting=waiting,
            acquire_rate=acquired / asked if asked else 1.0,
            wait_s=waits.summary(acquired),
            jain=jain_index(e.leases / e.weight for e in endpoints),
            balance_score=balance_score(e.leases for e in endpoints),
            calls=calls,
            failures=failures,
            failure_rate=failures / calls if calls else 0.0,
            quotas=tuple(quotas),
            **others,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PoolStats":
        """Return what `to_dict` was called on, by this version or by an earlier one.

        What an earlier version did not count is 0.
        """
        endpoints = tuple(EndpointStats(**endpoint) for endpoint in data["endpoints"])
        quotas = [{**quota, "endpoints": tuple(quota["endpoints"])} for quota in data.get("quotas", ())]
        fields = {
            **data,
            "endpoints": endpoints,
            "wait_s": WaitStats(**data["wait_s"]),
            "quotas": tuple(QuotaStats(**quota) for quota in quotas),
        }
        if "success_rate" in fields:  # what `acquire_rate` was called up to 0.6
            fields["acquire_rate"] = fields.pop("success_rate")
        return cls(**fields)
