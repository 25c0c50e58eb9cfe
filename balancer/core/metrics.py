"""Statistics of a pool: its endpoints, leases, quotas and waiting times.

The field of a figure declares the figure: its kind, where it is counted, its words and its name in Prometheus. From
that are made `Pool.stats`, the page, `balancer top`, Prometheus and the table of docs/live.md.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import floor, log2
from typing import Annotated, Any, Final, NamedTuple, get_origin, get_type_hints

from balancer.core.states import SHOWN, MembershipState

__all__ = [
    "BOUNDS_S",
    "BUCKETS_PER_OCTAVE",
    "CallError",
    "EndpointStats",
    "HolderStats",
    "LeaseRow",
    "PoolStats",
    "QuotaStats",
    "SourceStats",
    "StatsField",
    "WaitHistogram",
    "WaitRow",
    "WaitStats",
    "balance_score",
    "figures_of",
    "jain_index",
]


@dataclass(frozen=True, slots=True)
class StatsField:
    """A figure of the statistics, declared with its field.

    Attributes:
        kind: "counter", "gauge", "histogram", or "state": 1 for the value that the field has, 0 for its other values.
        metric: its name in Prometheus, without `balancer_` and `_total`; "": the sum over endpoints says it.
        help: what it is.
        labels: of its metric, beside that of the row; of a "state" the name of its label, with all values if known.
        at: where it is counted: an attribute of an endpoint's account, or of the core; "": it is computed.
        word: its heading in `balancer top`; "": it is not shown there.
        digits: decimals on the page; None: all.
        of: returns its value, from a row; None: it is not known. By default the value of the field.
    """

    kind: str
    metric: str
    help: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    word: str = ""
    digits: int | None = None
    of: Callable[[Any], float | None] | None = None


_counter, _gauge = partial(StatsField, "counter"), partial(StatsField, "gauge")
_state = partial(StatsField, "state")


_known: dict[type[Any], dict[str, StatsField]] = {}  # reading the hints takes a while


def figures_of(kind: type[Any]) -> dict[str, StatsField]:
    """Return the figures of a class of statistics, by their fields."""
    if kind not in _known:
        hints = get_type_hints(kind, include_extras=True)
        _known[kind] = {name: each.__metadata__[0] for name, each in hints.items() if get_origin(each) is Annotated}
    return _known[kind]


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


BOUNDS_S: Final = tuple(4.0**k for k in range(-5, 5))
"""The bounds of the histogram for Prometheus, in seconds: bounds of buckets, so that its counts are exact."""


class WaitHistogram:
    """Waits in buckets of 2.2% width, so that a million need no more memory than a hundred.

    `add` costs O(1). Most grants do not wait; callers do not add those, but only count them: see `summary`.

    Attributes:
        total_s: all waits together.
    """

    def __init__(self) -> None:
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self.total_s = 0.0
        self._max_s = 0.0

    def add(self, wait_s: float) -> None:
        """Count one wait."""
        if wait_s > 0:
            bucket = floor(log2(wait_s) * BUCKETS_PER_OCTAVE)
            self._buckets[bucket] += 1
            self.total_s += wait_s
            if wait_s > self._max_s:
                self._max_s = wait_s

    def at_most(self, grants: int) -> list[int]:
        """Return how many of `grants` grants waited for less than each of `BOUNDS_S`. See `summary`."""
        longer = [(bucket / BUCKETS_PER_OCTAVE, count) for bucket, count in self._buckets.items()]
        return [grants - sum(count for log2_s, count in longer if log2_s >= log2(bound_s)) for bound_s in BOUNDS_S]

    def copy(self) -> "WaitHistogram":
        """Return an independent copy; O(buckets), a few hundred at most."""
        twin = WaitHistogram()
        twin.add_all(self)
        return twin

    def add_all(self, other: "WaitHistogram") -> None:
        """Count all waits of `other` too; O(buckets)."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] += count
        self.total_s += other.total_s
        self._max_s = max(self._max_s, other._max_s)

    def since(self, before: "WaitHistogram") -> "WaitHistogram":
        """Return the waits that came after `before` was copied from this; O(buckets). `max` is exact to a bucket."""
        later = WaitHistogram()
        for bucket, count in self._buckets.items():
            if fresh := count - before._buckets.get(bucket, 0):
                later._buckets[bucket] = fresh
        later.total_s = self.total_s - before.total_s
        if later._buckets:
            later._max_s = min(self._max_s, math.exp2((max(later._buckets) + 1) / BUCKETS_PER_OCTAVE))
        return later

    def summary(self, grants: int) -> WaitStats:
        """Return mean and quantiles of `grants` grants. Those that were not added here waited 0 s."""
        if not grants:
            return WaitStats()
        p50, p90, p99 = (self._quantile(q, grants) for q in (0.5, 0.9, 0.99))
        return WaitStats(mean=self.total_s / grants, p50=p50, p90=p90, p99=p99, max=self._max_s)

    def _quantile(self, q: float, grants: int) -> float:
        beyond = grants - math.ceil(q * grants)  # how many grants waited longer than this quantile
        for bucket in sorted(self._buckets, reverse=True):
            if beyond < self._buckets[bucket]:
                return min(self._max_s, math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE))
            beyond -= self._buckets[bucket]
        return 0.0


_STATES = tuple(each.value for each in MembershipState if each is not MembershipState.GONE)


def _ended(outcome: str, **more: Any) -> StatsField:
    return StatsField("counter", "outcomes", "Leases that have ended, by outcome.", {"outcome": outcome}, **more)


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """The figures of one endpoint.

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
        why_out: why it is out of service or on trial; "": it serves.
        back_in_s: seconds until it is tried again, while it is ejected or resting; else None.
        spared: why it would be ejected, if more endpoints might be (`max_ejected_share`); "": no test finds it.
    """

    url: str
    state: Annotated[str, _state("endpoint_state", "1 for the state that an endpoint is in.", {"state": _STATES})]
    in_flight: Annotated[int, _gauge("in_flight_slots", "Slots leased now.", at="in_flight")]
    limit: Annotated[int, _gauge("limit_slots", "Slots in force; 0: it takes no leases.", at="limit")]
    leases: Annotated[int, _counter("leases", "Leases granted.", at="leases", word="leases")]
    failures: Annotated[int, _ended("failure", at="failures", word="failures")]
    share: float
    busy_s: Annotated[float, _counter("busy_slot_seconds", "Slots in use, times how long.", digits=2)]
    overloads: Annotated[int, _ended("overload", at="overloads", word="overloads")] = 0
    capacity: Annotated[int, _gauge("slots", "Slots configured.", at="endpoint.capacity")] = 1
    weight: Annotated[float, _gauge("weight", "The weight of an endpoint.", at="endpoint.weight")] = 1.0
    health: Annotated[str, _state("endpoint_health", "1 for its health, if that is watched.", {"health": SHOWN})] = ""
    ejections: Annotated[int, _counter("ejections", "Ejections.", at="ejections", word="ejections")] = 0
    out_s: Annotated[float, _counter("out_of_service_seconds", "Ejected, at rest or spent, how long.", digits=1)] = 0.0
    name: str = ""
    successes: Annotated[int, _ended("success")] = 0
    ignored: Annotated[int, _ended("ignored", at="ignored")] = 0
    back_in_s: float | None = None
    spared: str = ""
    why_out: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.url)


class LeaseRow(NamedTuple):
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


class WaitRow(NamedTuple):
    """Waiters of one holder.

    Attributes:
        holder: who waits; "" if the caller did not say.
        waiting: how many of its acquires wait.
        since_s: since when the first of them waits, by the pool's clock.
    """

    holder: str
    waiting: int
    since_s: float


class CallError(NamedTuple):
    """A call that ended as a failure or an overload of its endpoint.

    Attributes:
        at_s: when its lease ended, by the pool's clock.
        outcome: "failure" or "overload".
        said: the kind of the exception, its HTTP status and its reason, as far as known; "": not known. No secrets.
    """

    at_s: float
    outcome: str
    said: str


def _used(unit: str) -> StatsField:
    return _gauge(
        "quota_used",
        "What counts of a quota in this minute.",
        {"unit": unit},
        of=lambda quota: None if getattr(quota, f"{unit}_per_min") is None else getattr(quota, unit),
    )


@dataclass(frozen=True, slots=True)
class QuotaStats:
    """How much of a quota is used now, in the last minute.

    Attributes:
        name: its name.
        endpoints: the names of its endpoints.
        requests, tokens: how many count now. Tokens: as reserved, or as set since.
        requests_per_min, tokens_per_min: the most allowed. None: any number.
        room_in_s: seconds until there is room for a call with the quota's default estimate; 0: there is room.
    """

    name: str
    endpoints: tuple[str, ...]
    requests: Annotated[int, _used("requests")]
    requests_per_min: Annotated[int | None, _gauge("quota_limit", "The most in a minute.", {"unit": "requests"})]
    tokens: Annotated[int, _used("tokens")]
    tokens_per_min: Annotated[int | None, _gauge("quota_limit", "The most in a minute.", {"unit": "tokens"})]
    room_in_s: float


def _is_up(source: "SourceStats") -> bool:
    return not source.trouble and source.age_s is not None


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
    """

    name: str
    kind: str
    endpoints: Annotated[int, _gauge("source_endpoints", "Endpoints that a source has in the pool.")]
    missing: Annotated[int, _gauge("source_missing", "Of these, those that it does not list any more.")]
    held: int
    answers: int
    failures: Annotated[int, _counter("source_failures", "Times that a source did not answer.")]
    age_s: float | None
    trouble: Annotated[str, _gauge("source_up", "1 if its last answer was believed, else 0.", of=_is_up)]


def _waited_s(holder: "HolderStats") -> float:
    return holder.wait_s.mean * holder.leases


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
    weight: Annotated[float, _gauge("holder_weight", "The weight of its share.")]
    in_flight: Annotated[int, _gauge("holder_in_flight_slots", "Slots that a holder has now.")]
    waiting: Annotated[int, _gauge("holder_waiting", "Acquires of a holder that wait.")]
    leases: Annotated[int, _counter("holder_leases", "Leases granted to a holder.")]
    calls: int
    tokens: Annotated[int, _counter("holder_tokens", "Tokens that its calls reported.")]
    busy_s: Annotated[float, _counter("holder_busy_slot_seconds", "Slots a holder had, times how long.", digits=2)]
    share: float
    wait_s: Annotated[WaitStats, _counter("holder_wait_seconds", "Waits for its leases, added up.", of=_waited_s)]


_total = partial(StatsField, "counter", "", "The sum over endpoints, with those that have gone.")


def _acquire(result: str, **more: Any) -> StatsField:
    return StatsField("counter", "acquires", "Acquires that have ended, by how.", {"result": result}, **more)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The whole pool at one instant.

    Attributes:
        endpoints: in the order they were added.
        strategy: name of the strategy in force.
        acquired, timed_out: acquires that got a lease, and acquires that timed out.
        cancelled: acquires that were withdrawn while they waited. At a server also those of a process that has gone,
            and those that a process served with another lease of its block.
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
    strategy: Annotated[str, _state("strategy_info", "1 for the strategy in force.", {"strategy": ()})]
    acquired: Annotated[int, _acquire("granted", at="ledger.granted", word="leases")]
    timed_out: Annotated[int, _acquire("timed_out", at="timed_out")]
    waiting: Annotated[int, _gauge("waiting", "Acquires that wait.", at="waiting")]
    acquire_rate: float
    wait_s: Annotated[
        WaitStats, StatsField("histogram", "wait_seconds", "Waits for granted leases; 0 for those at once.")
    ]
    jain: float
    balance_score: float
    calls: Annotated[int, _total(at="ledger.calls")] = 0
    failures: Annotated[int, _total(at="ledger.failures", word="failures")] = 0
    overloads: Annotated[int, _total(at="ledger.overloads", word="overloads")] = 0
    failure_rate: float = 0.0
    cancelled: Annotated[int, _acquire("cancelled", at="cancelled")] = 0
    retries: Annotated[int, _counter("retries", "Calls made again.", at="_retries", word="retries")] = 0
    hedges: Annotated[int, _counter("hedges", "Slow calls made a second time.", at="_hedges", word="hedges")] = 0
    ejections: Annotated[int, _total(at="_rules.ejections")] = 0
    quotas: tuple[QuotaStats, ...] = ()
    sources: tuple[SourceStats, ...] = ()
    holders: tuple[HolderStats, ...] = ()

    @classmethod
    def of(
        cls,
        endpoints: Sequence[EndpointStats],
        *,
        strategy: str,
        waits: WaitHistogram,
        quotas: Sequence[QuotaStats] = (),
        sources: Sequence[SourceStats] = (),
        holders: Sequence[HolderStats] = (),
        **counts: int,
    ) -> "PoolStats":
        """Compute the statistics of a pool. `counts`: its own figures, by name; one that is missing is 0."""
        figures: dict[str, Any] = dict.fromkeys(figures_of(cls), 0) | counts
        acquired, calls = figures["acquired"], figures["calls"]
        figures |= {"strategy": strategy, "wait_s": waits.summary(acquired)}
        asked = acquired + figures["timed_out"]
        return cls(
            endpoints=tuple(endpoints),
            acquire_rate=acquired / asked if asked else 1.0,
            jain=jain_index(e.leases / e.weight for e in endpoints),
            balance_score=balance_score(e.leases for e in endpoints),
            failure_rate=figures["failures"] / calls if calls else 0.0,
            quotas=tuple(quotas),
            sources=tuple(sources),
            holders=tuple(holders),
            **figures,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)
