"""Prometheus metrics of a pool: a collector for the official client.

All values of a scrape are of one instant, and equal to `Pool.stats` at that instant. Endpoints are labelled by name,
without parts of a URL that may be secret. docs/live.md lists the metrics.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeVar

from balancer.core.metrics import EndpointStats, PoolStats
from balancer.core.readings import Snapshot
from balancer.core.states import Health, MembershipState
from balancer.core.timing import BOUNDS_S, Buckets
from balancer.plugins.extras import require
from balancer.values.redaction import ShownNames, with_whole_characters

require("prometheus", "balancer.observing.prometheus")

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric  # noqa: E402
from prometheus_client.registry import Collector as PrometheusCollector  # noqa: E402

__all__ = ["Collector", "MetricsSource"]

F = TypeVar("F", bound=Metric)

_HEALTH: Final = (*(each.value for each in Health), "spent")
_STATES: Final = tuple(each.value for each in MembershipState if each is not MembershipState.GONE)


class MetricsSource(Protocol):
    """The part of a pool that the collector uses."""

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return the pool at one instant."""
        ...

    def time_leases(self) -> None:
        """Count how long leases are waited for and held."""
        ...


class Collector(PrometheusCollector):
    """Collects the values of one pool or several at each scrape.

    Use it as `REGISTRY.register(Collector(pool))`. Counters begin with the pool. The histograms of wait and hold begin
    when the collector is made; from then on a lease costs a little more.

    Args:
        pools: a pool, or several by name. With several, each value has the label `pool`.
        redact: takes further secrets out of names, e.g. `Config.redact`.

    Raises:
        MissingExtra: on import, if the extra `prometheus` is not installed.
    """

    def __init__(
        self, pools: MetricsSource | Mapping[str, MetricsSource], *, redact: Callable[[str], str] | None = None
    ) -> None:
        named = pools.items() if isinstance(pools, Mapping) else [(None, pools)]
        self._pools: dict[str | None, MetricsSource] = {name: pool for name, pool in named}  # noqa: C416, of a wider type
        self._names = {name: ShownNames(redact) for name in self._pools}
        self._quotas = {name: ShownNames(redact) for name in self._pools}
        self._holders = {name: ShownNames(redact) for name in self._pools}
        for pool in self._pools.values():
            pool.time_leases()

    def describe(self) -> Iterable[Metric]:
        """Return the families without values, so that registration reads no pool."""
        return _Families(named=None not in self._pools).all

    def collect(self) -> Iterator[Metric]:
        """Yield the families, with each pool at one instant."""
        families = _Families(named=None not in self._pools)
        for name, pool in self._pools.items():
            seen, at = pool.snapshot(), () if name is None else (with_whole_characters(name),)
            families.take(seen, at, self._names[name], self._quotas[name])
            families.take_holders(seen.stats, at, self._holders[name])
        yield from families.all


class _Families:
    """The values of one scrape.

    Args:
        named: whether there is a label for the pool.
    """

    def __init__(self, *, named: bool) -> None:
        self._by = ("pool",) if named else ()
        self.all: list[Metric] = []
        self._leases = self._counter("leases", "Leases granted.", "endpoint")
        self._outcomes = self._counter("outcomes", "Leases that have ended, by outcome.", "endpoint", "outcome")
        self._ejections = self._counter("ejections", "Times that an endpoint was ejected.", "endpoint")
        self._busy = self._counter("busy_slot_seconds", "Slots in use, times how long.", "endpoint")
        self._out = self._counter("out_of_service_seconds", "In the pool, but out of use.", "endpoint")
        self._acquired = self._counter("acquires", "Acquires that have ended, by how.", "result")
        self._retries = self._counter("retries", "Calls repeated because one failed.")
        self._hedges = self._counter("hedges", "Calls made a second time because one was slow.")
        self._slots = self._gauge("slots", "Slots that an endpoint is configured to have.", "endpoint")
        self._limit = self._gauge("limit_slots", "Slots in force now; 0: it takes no leases.", "endpoint")
        self._in_flight = self._gauge("in_flight_slots", "Slots leased now.", "endpoint")
        self._weight = self._gauge("weight", "The weight of an endpoint.", "endpoint")
        self._state = self._gauge("endpoint_state", "1 for the state that an endpoint is in.", "endpoint", "state")
        self._health = self._gauge("endpoint_health", "1 for the health of an endpoint.", "endpoint", "health")
        self._waiting = self._gauge("waiting", "Acquires that wait.")
        self._strategy = self._gauge("strategy_info", "1 for the strategy in force.", "strategy")
        self._used = self._gauge("quota_used", "What counts of a quota in this minute.", "quota", "unit")
        self._most = self._gauge("quota_limit", "The most that a minute may have.", "quota", "unit")
        self._listed = self._gauge("source_endpoints", "Endpoints that a source has in the pool.", "source")
        self._missing = self._gauge("source_missing", "Of these, those that it does not list any more.", "source")
        self._well = self._gauge("source_up", "1 if the last answer of a source was believed, else 0.", "source")
        self._silent = self._counter("source_failures", "Times that a source did not answer.", "source")
        self._holder_leases = self._counter("holder_leases", "Leases granted to a holder.", "holder")
        self._holder_busy = self._counter("holder_busy_slot_seconds", "Slots a holder had, times how long.", "holder")
        self._holder_tokens = self._counter("holder_tokens", "Tokens that calls of a holder reported.", "holder")
        self._holder_waited = self._counter("holder_wait_seconds", "Waits of a holder for its leases.", "holder")
        self._holder_waiting = self._gauge("holder_waiting", "Acquires of a holder that wait.", "holder")
        self._holder_slots = self._gauge("holder_in_flight_slots", "Slots that a holder has now.", "holder")
        self._holder_weight = self._gauge("holder_weight", "The weight of a holder's share.", "holder")
        self._waits = self._histogram("wait_seconds", "Waits for granted leases.")
        self._holds = self._histogram("hold_seconds", "Times that leases were held.", "endpoint")

    def _counter(self, name: str, says: str, *labels: str) -> CounterMetricFamily:
        return self._kept(CounterMetricFamily(f"balancer_{name}", says, labels=[*self._by, *labels]))

    def _gauge(self, name: str, says: str, *labels: str) -> GaugeMetricFamily:
        return self._kept(GaugeMetricFamily(f"balancer_{name}", says, labels=[*self._by, *labels]))

    def _histogram(self, name: str, says: str, *labels: str) -> HistogramMetricFamily:
        return self._kept(HistogramMetricFamily(f"balancer_{name}", says, labels=[*self._by, *labels]))

    def _kept(self, family: F) -> F:
        self.all.append(family)
        return family

    def take(self, seen: Snapshot, pool: tuple[str, ...], names: ShownNames, quotas: ShownNames) -> None:
        """Add the values of a pool. `pool`: its label, if there is one."""
        stats = seen.stats
        for endpoint in stats.endpoints:
            at = (*pool, names(endpoint.name))
            self._take_endpoint(endpoint, at)
        self._acquired.add_metric([*pool, "granted"], stats.acquired)
        self._acquired.add_metric([*pool, "timed_out"], stats.timed_out)
        self._retries.add_metric(pool, stats.retries)
        self._hedges.add_metric(pool, stats.hedges)
        self._waiting.add_metric(pool, stats.waiting)
        self._strategy.add_metric([*pool, stats.strategy], 1)
        self._take_quotas(stats, pool, quotas)
        for source in stats.sources:
            at = (*pool, with_whole_characters(source.name))
            self._listed.add_metric(at, source.endpoints)
            self._missing.add_metric(at, source.missing)
            self._well.add_metric(at, not source.trouble and source.age_s is not None)
            self._silent.add_metric(at, source.failures)
        if seen.times is not None:
            self._waits.add_metric(pool, *_buckets(seen.times.waits))
            for name, held in seen.times.holds.items():
                self._holds.add_metric([*pool, names(name)], *_buckets(held))

    def take_holders(self, stats: PoolStats, pool: tuple[str, ...], names: ShownNames) -> None:
        """Add the values of holders, if they have fair shares."""
        for holder in stats.holders:
            at = (*pool, names(holder.name))
            self._holder_leases.add_metric(at, holder.leases)
            self._holder_busy.add_metric(at, holder.busy_s)
            self._holder_tokens.add_metric(at, holder.tokens)
            self._holder_waited.add_metric(at, holder.wait_s.mean * holder.leases)
            self._holder_waiting.add_metric(at, holder.waiting)
            self._holder_slots.add_metric(at, holder.in_flight)
            self._holder_weight.add_metric(at, holder.weight)

    def _take_endpoint(self, endpoint: EndpointStats, at: tuple[str, ...]) -> None:
        self._leases.add_metric(at, endpoint.leases)
        for outcome, count in (
            ("success", endpoint.successes),
            ("failure", endpoint.failures),
            ("overload", endpoint.overloads),
            ("ignored", endpoint.ignored),
        ):
            self._outcomes.add_metric([*at, outcome], count)
        self._ejections.add_metric(at, endpoint.ejections)
        self._busy.add_metric(at, endpoint.busy_s)
        self._out.add_metric(at, endpoint.out_s)
        self._slots.add_metric(at, endpoint.capacity)
        self._limit.add_metric(at, endpoint.limit)
        self._in_flight.add_metric(at, endpoint.in_flight)
        self._weight.add_metric(at, endpoint.weight)
        for state in _STATES:
            self._state.add_metric([*at, state], endpoint.state == state)
        for health in _HEALTH if endpoint.health else ():
            self._health.add_metric([*at, health], endpoint.health == health)

    def _take_quotas(self, stats: PoolStats, pool: tuple[str, ...], quotas: ShownNames) -> None:
        for quota in stats.quotas:
            at = (*pool, quotas(quota.name))
            for unit, used, most in (
                ("requests", quota.requests, quota.requests_per_min),
                ("tokens", quota.tokens, quota.tokens_per_min),
            ):
                if most is not None:
                    self._used.add_metric([*at, unit], used)
                    self._most.add_metric([*at, unit], most)


def _buckets(held: Buckets) -> tuple[list[tuple[str, float]], float]:
    """Return the input of the client: the counts up to each bound, and the sum."""
    so_far, rows = 0, []
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), held.counts, strict=True):
        so_far += count
        rows.append((bound, float(so_far)))
    return rows, held.total_s
