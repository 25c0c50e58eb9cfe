"""Prometheus histograms of times: what they say of calls where there is no log, and what they do not.

A histogram has counts, a sum and bounds. It has no single calls, so it is no trace, and nothing can be fitted to it.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.plugins.extras import require

__all__ = ["histogram_lines", "histograms_of", "looks_like_metrics"]

_TIMES: Final = re.compile(r"seconds|millis|_ms$|time|duration|latency")
_MILLIS: Final = re.compile(r"millis|_ms$|^envoy_")
# Labels that name a server, a model or an outcome. Others may name people or keys, and are summed over.
_LABELS: Final = (
    "instance", "server", "service", "backend", "proxy", "upstream", "envoy_cluster_name", "host", "url", "api_base",
    "deployment", "model_id", "model", "model_name", "code", "status", "method", "entrypoint", "endpoint",
)  # fmt: skip
_QUANTILES: Final = (0.5, 0.9, 0.99)
_UNKNOWN: Final = (
    "waits, unless one of these histograms is of waits",
    "what was in flight, and so the capacity",
    "when a call was made: bursts, outages, slow spells",
    "which calls had a retry",
)


def looks_like_metrics(text: str) -> bool:
    """Return whether the beginning of a file looks like the text format of Prometheus."""
    return re.search(r"(?m)^# TYPE \S+ (?:histogram|counter|gauge|summary|untyped)\s*$", text) is not None


def histograms_of(text: str, where: str) -> dict[str, Any]:
    """Return the histograms of times in a scrape as plain data, times in seconds.

    Each has `name`, `labels`, `count`, `mean_s`, and `p50`, `p90` and `p99`: the bounds of the bucket that has it; the
    upper one is None where it is not known. `unknown` lists what no histogram says.

    Raises:
        ConfigError: it is not in the text format, or has no such histogram.
        MissingExtra: prometheus_client is not installed.
    """
    require("prometheus", '"balancer trace" of metrics')
    from prometheus_client.parser import text_string_to_metric_families

    series: dict[tuple[str, tuple[tuple[str, str], ...]], _Series] = {}
    try:
        for family in text_string_to_metric_families(text):
            if family.type == "histogram" and _TIMES.search(family.name):
                for sample in family.samples:
                    labels = tuple((key, value) for key, value in sample.labels.items() if key in _LABELS)
                    found = series.setdefault((family.name, labels), _Series())
                    found.add(sample.name.removeprefix(family.name), sample.labels.get("le"), float(sample.value))
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{where}: is not in the text format of Prometheus: {str(error)[:80]}") from None
    rows = [each.data(name, dict(labels)) for (name, labels), each in series.items() if each.count]
    if not rows:
        raise ConfigError(f"{where}: has no histogram of times with a count; give the text of /metrics of a proxy")
    return {"histograms": rows, "unknown": [*_UNKNOWN]}


def histogram_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what `histograms_of` returned, for people."""
    for each in found["histograms"]:
        labels = ", ".join(f"{key} {value}" for key, value in each["labels"].items())
        mean = "unknown" if each["mean_s"] is None else f"{each['mean_s']:.3g} s"
        bounds = ", ".join(f"{name} {_between(each[name])}" for name in ("p50", "p90", "p99"))
        yield f"{each['name']}{f' ({labels})' if labels else ''}: {each['count']:.0f} calls, mean {mean}, {bounds}"
    yield "a histogram is no trace; it does not say:"
    yield from (f"  {each}" for each in found["unknown"])


class _Series:
    def __init__(self) -> None:
        self.count = self._sum = 0.0
        self._buckets: dict[float, float] = {}

    def add(self, kind: str, bound: str | None, value: float) -> None:
        if not math.isfinite(value):
            return
        if kind == "_count":
            self.count += value
        elif kind == "_sum":
            self._sum += value
        elif kind == "_bucket" and bound is not None:
            self._buckets[float(bound)] = self._buckets.get(float(bound), 0.0) + value

    def data(self, name: str, labels: dict[str, str]) -> dict[str, Any]:
        unit_s = 1e-3 if _MILLIS.search(name) else 1.0
        quantiles = {f"p{round(100 * part)}": self._bounds(part, unit_s) for part in _QUANTILES}
        mean_s = self._sum / self.count * unit_s if self.count and self._sum >= 0 else None
        return {"name": name, "labels": labels, "count": self.count, "mean_s": mean_s, **quantiles}

    def _bounds(self, part: float, unit_s: float) -> list[float | None]:
        low = 0.0
        for bound, count in sorted(self._buckets.items()):
            if count >= part * self.count:
                return [low * unit_s, None if math.isinf(bound) else bound * unit_s]
            low = bound
        return [low * unit_s, None]


def _between(bounds: list[float | None]) -> str:
    low, high = bounds
    return f"above {low:.3g} s" if high is None else f"{low:.3g} to {high:.3g} s"
