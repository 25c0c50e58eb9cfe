"""Prometheus metrics of a pool: a collector for the official client.

All values of a scrape are of one instant, and equal to `Pool.stats` at that instant. Endpoints are labelled by name,
without parts of a URL that may be secret. docs/live.md lists the metrics.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from balancer.core.metrics import (
    BOUNDS_S,
    EndpointStats,
    HolderStats,
    PoolStats,
    QuotaStats,
    SourceStats,
    StatsField,
    WaitHistogram,
    figures_of,
)
from balancer.observing import WatchedPool
from balancer.plugins.extras import require
from balancer.values.redaction import ShownNames, with_whole_characters

require("observe", "balancer.observing.prometheus", "prometheus_client")

from prometheus_client import CollectorRegistry  # noqa: E402
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric  # noqa: E402
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: E402
from prometheus_client.registry import Collector as PrometheusCollector  # noqa: E402

__all__ = ["ROWS", "Collector", "scrape_of"]

ROWS: Final[dict[type, str]] = {
    PoolStats: "",
    EndpointStats: "endpoint",
    QuotaStats: "quota",
    SourceStats: "source",
    HolderStats: "holder",
}
"""The kinds of rows that have figures, and the label that tells the rows of a kind apart."""

_FAMILIES: Final[dict[str, Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "state": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Collector(PrometheusCollector):
    """Collects the values of one pool or several at each scrape.

    Use it as `REGISTRY.register(Collector(pool))`. Counters begin with the pool.

    Args:
        pools: a pool, or several by name. With several, each value has the label `pool`.
        redact: takes further secrets out of names, e.g. `Config.redact`.

    Raises:
        MissingExtra: on import, if the extra `observe` is not installed.
    """

    def __init__(
        self, pools: WatchedPool | Mapping[str, WatchedPool], *, redact: Callable[[str], str] | None = None
    ) -> None:
        named = pools.items() if isinstance(pools, Mapping) else [(None, pools)]
        self._pools: dict[str | None, WatchedPool] = {name: pool for name, pool in named}  # noqa: C416, of a wider type
        self._names = defaultdict[tuple[str | None, type], ShownNames](lambda: ShownNames(redact))

    def describe(self) -> Iterable[Metric]:
        """Return the families without values, so that registration reads no pool."""
        return _Families(named=None not in self._pools).all

    def collect(self) -> Iterator[Metric]:
        """Yield the families, with each pool at one instant."""
        families = _Families(named=None not in self._pools)
        for pool_name, pool in self._pools.items():
            seen, at = pool.snapshot(), [] if pool_name is None else [with_whole_characters(pool_name)]
            stats = seen.stats
            families.take(PoolStats, [(at, stats)])
            for kind, rows in (
                (EndpointStats, stats.endpoints),
                (QuotaStats, stats.quotas),
                (SourceStats, stats.sources),
                (HolderStats, stats.holders),
            ):
                names = self._names[pool_name, kind]
                families.take(kind, [([*at, with_whole_characters(names(each.name))], each) for each in rows])
            families.take_waits(seen.waits, stats.acquired, at)
        yield from families.all


class _Families:
    """The values of one scrape.

    Args:
        named: whether there is a label for the pool.
    """

    def __init__(self, *, named: bool) -> None:
        by = ["pool"] if named else []
        self._by_metric: dict[str, Any] = {}
        for kind, row in ROWS.items():
            for figure in figures_of(kind).values():
                if figure.metric and figure.metric not in self._by_metric:
                    labels = [*by, *[row] * bool(row), *figure.labels]
                    made = _FAMILIES[figure.kind](f"balancer_{figure.metric}", figure.help, labels=labels)
                    self._by_metric[figure.metric] = made

    @property
    def all(self) -> list[Metric]:
        """All families."""
        return list(self._by_metric.values())

    def take(self, kind: type, rows: Sequence[tuple[list[str], object]]) -> None:
        """Add the values of rows, each with the values of its labels."""
        for name, figure in figures_of(kind).items():
            if figure.metric and figure.kind != "histogram":
                for at, row in rows:
                    self._add(figure, at, getattr(row, name) if figure.of is None else figure.of(row))

    def _add(self, figure: StatsField, at: list[str], value: Any) -> None:
        family = self._by_metric[figure.metric]
        if figure.kind == "state":
            (states,) = figure.labels.values()
            for state in (states or [value]) if value else ():
                family.add_metric([*at, state], value == state)
        elif value is not None:
            family.add_metric([*at, *figure.labels.values()], value)

    def take_waits(self, waits: WaitHistogram, grants: int, at: list[str]) -> None:
        """Add the histogram of waits."""
        counts = [*zip(map(str, BOUNDS_S), waits.at_most(grants), strict=True), ("+Inf", grants)]
        self._by_metric["wait_seconds"].add_metric(at, counts, waits.total_s)


def scrape_of(*collectors: Any) -> Callable[[], tuple[bytes, str]]:
    """Return what scrapes these collectors, which have a `collect`: the metrics, and their content type."""
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return lambda: (generate_latest(registry), CONTENT_TYPE_LATEST)
