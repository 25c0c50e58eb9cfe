"""Load reports of a server, in the headers of its answers: ORCA, "open request cost aggregation".

The header `endpoint-load-metrics` has several forms, told apart by its first word or by the header's name:

    endpoint-load-metrics: TEXT cpu_utilization=0.3, named_metrics.kv_cache_usage_perc=0.4
    endpoint-load-metrics: JSON {"cpu_utilization": 0.3, "named_metrics": {"kv_cache_usage_perc": 0.4}}
    endpoint-load-metrics-json: {"cpu_utilization": 0.3}

vLLM sends the first two if a request has the header `endpoint-load-metrics-format: TEXT` (or JSON). A header that
cannot be read, such as one of ORCA's binary form, counts as no report, and is never an error.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ASK", "REPORTS", "Load", "load_of"]

ASK: Final = "endpoint-load-metrics-format"
"""The header by which a request asks for a report, with the value "TEXT" or "JSON"."""

_HEADER: Final = "endpoint-load-metrics"
_FORMS: Final = ((_HEADER, ""), (f"{_HEADER}-json", "JSON"))

REPORTS: Final = frozenset(name.encode() for name, _ in _FORMS)
"""The headers that may have a report, in lower case."""

_LONGEST: Final = 16_384  # characters
_NAMED: Final = "named_metrics"
_UTILIZATIONS: Final = ("kv_cache_usage_perc", "kv_cache_utilization", "gpu_cache_usage_perc")  # of vLLM, by version
_WAITING: Final = "num_requests_waiting"
_PLAIN: Final = ("application_utilization", "cpu_utilization", "mem_utilization", "rps_fractional", "eps")


@dataclass(frozen=True, slots=True)
class Load:
    """One load report of a server. A value that it does not have is None.

    Args:
        application_utilization, cpu_utilization, mem_utilization: used parts; above 1 means overused.
        rps_fractional, eps: requests and errors per second.
        named_metrics: other values, by the server's names.
    """

    application_utilization: float | None = None
    cpu_utilization: float | None = None
    mem_utilization: float | None = None
    rps_fractional: float | None = None
    eps: float | None = None
    named_metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def used(self) -> float | None:
        """The used part of the server: as it reports itself, else of its cache, else of its CPU. None if unknown."""
        if self.application_utilization is not None:
            return self.application_utilization
        for name in _UTILIZATIONS:
            if name in self.named_metrics:
                return self.named_metrics[name]
        return self.cpu_utilization

    @property
    def waiting(self) -> float | None:
        """How many requests wait in the server, or None."""
        return self.named_metrics.get(_WAITING)


def load_of(headers: Mapping[str, str]) -> Load | None:
    """Return the load that the headers of an answer report; None if there is no readable report.

    Args:
        headers: by name. Headers of HTTP clients ignore case; a plain dict needs lower case.
    """
    for name, kind in _FORMS:
        text = headers.get(name)
        if isinstance(text, str) and len(text) <= _LONGEST:
            try:
                return _read(text.strip(), kind)
            except (ValueError, TypeError, LookupError, RecursionError):
                return None
    return None


def _read(text: str, kind: str) -> Load | None:
    if not kind:
        word, _, rest = text.partition(" ")
        kind, text = (word.upper(), rest.strip()) if word.upper() in ("TEXT", "JSON") else ("TEXT", text)
    found = _of_json(text) if kind == "JSON" else _of_text(text)
    plain: dict[str, float] = {}
    named: dict[str, float] = {}
    for name, value in found:
        if not math.isfinite(value):
            raise ValueError(f"{name} is not a finite number")
        if name in _PLAIN:
            plain[name] = value
        elif name.startswith(f"{_NAMED}."):
            named[name.removeprefix(f"{_NAMED}.")] = value
    return Load(**plain, named_metrics=MappingProxyType(named)) if plain or named else None


def _of_text(text: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of each pair. Envoy writes "name:value", vLLM "name=value"."""
    for pair in text.split(","):
        at = max(pair.rfind("="), pair.rfind(":"))
        if at < 0:
            raise ValueError("a pair without a value")
        yield pair[:at].strip(), float(pair[at + 1 :])


def _of_json(text: str) -> Iterator[tuple[str, float]]:
    report: Any = json.loads(text if text.startswith("{") else f"{{{text}}}")  # the standard leaves out the braces
    for name, value in report.items():
        if isinstance(value, dict):
            yield from ((f"{_camel_to_snake(name)}.{inner}", _number(each)) for inner, each in value.items())
        else:
            yield _camel_to_snake(name), _number(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _camel_to_snake(name: str) -> str:
    """Convert a field name such as cpuUtilization, which JSON may use, to the message's name."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
