"""Statistics of a pool: its endpoints, leases, quotas and waiting times."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor, log2
from typing import Any

__all__ = [
    "BUCKETS_PER_OCTAVE",
    "CallError",
    "EndpointStats",
    "HolderStats",
    "LeaseRow",
    "PoolStats",
    "QuotaStats",
    "SourceStats",
    "WaitHistogram",
    "WaitRow",
    "WaitStats",
    "balance_score",
    "jain_index",
]


def jain_index(shares: Iterable[float]) -> float:
    """Return Jain's fairness index of `shares`: 1 if all are equal, 1/n if one has everything.

    Source: Jain, Chiu, Hawe, DEC-TR-301 (1984): (sum x)^2 / (n sum x^2). No shares, or only zeros, count as fair.
    """
    values = list(shares)
    most = max(values, default=0.0)
    if most == 0:
        return 1.0
    parts = [x / most for x in values]  # scaled: the index is the same, and no square is too large or too small
    return sum(parts) ** 2 / (len(parts) * sum(x * x for x in parts))


def balance_score(counts: Iterable[float]) -> float:
    """Return 1 / (1 + population variance of `counts`): 1 if all endpoints had the same number of leases."""
    values = list(counts)
    if not values:
        return 1.0
    mean = sum(values) / len(values)
    return 1.0 / (1.0 + sum((x - mean) ** 2 for x in values) / len(values))


@dataclass(frozen=True, slots=True)
class WaitStats:
    """How long granted acquires waited, in seconds. All 0 if nothing was granted."""

    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


# 32 buckets an octave: a bucket's geometric middle is within 2**(1/64) - 1 = 1.1% of everything in it.
BUCKETS_PER_OCTAVE = 32


class WaitHistogram:
    """Waits in buckets of 2.2% width, so that a million need no more memory than a hundred.

    `add` costs O(1). Most grants do not wait; callers do not add those, but only count them: see `summary`.
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

    def add_all(self, other: "WaitHistogram") -> None:
        """Count all waits of `other` too; O(buckets)."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] += count
        self._total_s += other._total_s
        self._max_s = max(self._max_s, other._max_s)

    def since(self, before: "WaitHistogram") -> "WaitHistogram":
        """Return the waits that came after `before` was copied from this; O(buckets). `max` is exact to a bucket."""
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
        """Return mean and quantiles of `grants` grants. Those that were not added here waited 0 s."""
        if not grants:
            return WaitStats()
        p50, p90, p99 = (self._quantile(q, grants) for q in (0.5, 0.9, 0.99))
        return WaitStats(mean=self._total_s / grants, p50=p50, p90=p90, p99=p99, max=self._max_s)

    def _quantile(self, q: float, grants: int) -> float:
        beyond = grants - math.ceil(q * grants)  # how many grants waited longer than this quantile
        for bucket in sorted(self._buckets, reverse=True):
            if beyond < self._buckets[bucket]:
                return min(self._max_s, math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE))
            beyond -= self._buckets[bucket]
        return 0.0


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """The counters of one endpoint.

    Attributes:
        url, name, weight, capacity: as in `Endpoint`.
        state: "active", "draining" (no new leases) or "retiring" (gone when its last lease ends).
        in_flight: slots leased now.
        limit: slots in force now; 0 unless active.
        leases: leases granted so far.
        successes, failures, overloads, ignored: leases that ended so.
        share: its part of all leases granted by the listed endpoints, 0..1.
        busy_s: slot-seconds leased so far, with the leases that are still out.
        health: "healthy", "ejected", "half_open", "slow_start", "resting" or "spent" (its account has no quota left;
            out of service until it is added again); "" if health is not watched.
        ejections: how often it was ejected, failed probes included.
        out_s: seconds in service without serving: ejected, resting or spent.
        back_in_s: seconds until it is tried again, while it is ejected or resting; else None.
        spared: why it would be ejected, if more endpoints might be (`max_ejected_share`); "": no test finds it.
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
    back_in_s: float | None = None
    spared: str = ""

    def __post_init__(self) -> None:
        if not self.name:  # from a file of a version before endpoints had names
            object.__setattr__(self, "name", self.url)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One lease that is out.

    Attributes:
        id, endpoint, slots: the lease's id, the name of its endpoint, and how many of its slots.
        holder: who has it; "" if the caller did not say.
        since_s, age_s: the time of the grant by the pool's clock, and the seconds since then.
        where: file and line of its acquire, if the pool has a `leak_after_s`; else "".
    """

    id: int
    endpoint: str
    holder: str
    since_s: float
    age_s: float
    slots: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class WaitRow:
    """Waiters of one holder.

    Attributes:
        holder: who waits; "" if the caller did not say.
        waiting: how many of its acquires wait.
        since_s: since when the first of them waits, by the pool's clock.
    """

    holder: str
    waiting: int
    since_s: float


@dataclass(frozen=True, slots=True)
class CallError:
    """A call that ended as a failure or an overload of its endpoint.

    Attributes:
        at_s: when its lease ended, by the pool's clock.
        outcome: "failure" or "overload".
        said: the kind of the exception, its HTTP status and its reason, as far as known; "": not known. No secrets.
    """

    at_s: float
    outcome: str
    said: str


@dataclass(frozen=True, slots=True)
class QuotaStats:
    """How much of a quota is used now, in the last minute.

    Attributes:
        name: its name. A quota from `quotas["*"]` has the name of its endpoint.
        endpoints: the names of its endpoints.
        requests, tokens: how many count now. Tokens: as reserved, or as set since.
        requests_per_min, tokens_per_min: the most allowed. None: any number.
        room_in_s: seconds until there is room for a call with the quota's default estimate; 0: there is room.
    """

    name: str
    endpoints: tuple[str, ...]
    requests: int
    requests_per_min: int | None
    tokens: int
    tokens_per_min: int | None
    room_in_s: float


@dataclass(frozen=True, slots=True)
class SourceStats:
    """A source of endpoints: what it has said so far (`Pool.discover`).

    Attributes:
        name, kind: its name, and the kind of source, e.g. "dns".
        endpoints: how many endpoints it has in the pool.
        missing: how many of them it does not list any more; they leave after the grace.
        held: how many of these stay, so that not too many leave at once.
        answers, failures: how often it answered, and how often it did not.
        age_s: seconds since its last answer that was believed; None: there was none.
        trouble: what is wrong with it now; "": nothing. While there is trouble, no endpoint leaves.
        made, not_made: of an account, the instances that were made, and creations that failed. None: it makes none.
    """

    name: str
    kind: str
    endpoints: int
    missing: int
    held: int
    answers: int
    failures: int
    age_s: float | None
    trouble: str
    made: int | None = None
    not_made: int | None = None


@dataclass(frozen=True, slots=True)
class HolderStats:
    """What one holder has had, in a pool with fair shares.

    Attributes:
        name: the holder; "" for calls that named none, "(others)" for holders that are no longer listed.
        weight: its share relative to the others.
        in_flight, waiting: its slots out, and its waiters.
        leases: granted so far.
        calls: leases that ended with an outcome other than `IGNORED`.
        tokens: that its calls reported.
        busy_s: slot-seconds so far, with the leases that are still out.
        share: its part of the slot-seconds of all holders, 0..1.
        wait_s: how long its leases were waited for, in seconds.
    """

    name: str
    weight: float
    in_flight: int
    waiting: int
    leases: int
    calls: int
    tokens: int
    busy_s: float
    share: float
    wait_s: WaitStats


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The whole pool at one instant.

    Attributes:
        endpoints: in the order they were added.
        strategy: name of the strategy in force.
        acquired, timed_out: acquires that got a lease, and acquires that timed out.
        waiting: waiters now.
        acquire_rate: acquired / (acquired + timed_out); 1 before the first acquire. It does not measure the calls.
        wait_s: how long the granted acquires waited, in seconds.
        jain: Jain's index over endpoints of leases / weight.
        balance_score: 1 / (1 + variance of lease counts).
        calls: leases that ended with an outcome other than `IGNORED`.
        failures, overloads: calls that ended so.
        failure_rate: failures / calls; 0 before the first call.
        retries, hedges: calls made again after a failure, and slow calls made a second time.
        ejections: how often an endpoint was ejected.
        quotas: how much of each quota is used, in the order of their endpoints.
        sources: the sources of its endpoints.
        holders: what each holder has had, in the order in which they came; empty without fair shares.

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
    sources: tuple[SourceStats, ...] = ()
    holders: tuple[HolderStats, ...] = ()

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
        sources: Sequence[SourceStats] = (),
        holders: Sequence[HolderStats] = (),
        **others: int,
    ) -> "PoolStats":
        """Compute the statistics of a pool from its counters. `others` become attributes as they are."""
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
            sources=tuple(sources),
            holders=tuple(holders),
            **others,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PoolStats":
        """Return the `PoolStats` that `to_dict` was called on, in this version or an earlier one.

        What an earlier version did not count is 0.
        """
        endpoints = tuple(EndpointStats(**endpoint) for endpoint in data["endpoints"])
        quotas = [{**quota, "endpoints": tuple(quota["endpoints"])} for quota in data.get("quotas", ())]
        holders = [{**holder, "wait_s": WaitStats(**holder["wait_s"])} for holder in data.get("holders", ())]
        fields = {
            **data,
            "endpoints": endpoints,
            "wait_s": WaitStats(**data["wait_s"]),
            "quotas": tuple(QuotaStats(**quota) for quota in quotas),
            "sources": tuple(SourceStats(**source) for source in data.get("sources", ())),
            "holders": tuple(HolderStats(**holder) for holder in holders),
        }
        if "success_rate" in fields:  # the name of `acquire_rate` up to 0.6
            fields["acquire_rate"] = fields.pop("success_rate")
        return cls(**fields)
