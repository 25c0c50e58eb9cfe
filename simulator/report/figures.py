"""The figures of a run: what each is called, what it means, and how it is written.

Decides headings, units and rounding. It must not know where they are shown.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from balancer.errors import ConfigError
from balancer.wording import did_you_mean
from simulator.intervals import Interval

__all__ = ["FIGURES", "Figure", "checked_figure", "figure_of", "worded", "worded_difference"]

Unit = Literal["s", "part", "number", "count"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in `Record.metrics`, a short heading, its unit, and what it means."""

    key: str
    heading: str
    unit: Unit
    meaning: str


FIGURES: Final = (
    Figure("throughput_per_s", "requests/s", "number", "requests that succeeded, per second"),
    Figure("makespan_s", "makespan", "s", "when the last task of the batch ended"),
    Figure("makespan_by_bound", "makespan / bound", "number", "makespan / what no schedule can beat"),
    Figure("wait_mean_s", "wait, mean", "s", "from asking for an endpoint to the lease, over all leases"),
    Figure("wait_p50_s", "wait, p50", "s", "half of the leases waited no longer"),
    Figure("wait_p90_s", "wait, p90", "s", "nine in ten waited no longer"),
    Figure("wait_p99_s", "wait, p99", "s", "99 in 100 waited no longer"),
    Figure("wait_max_s", "wait, max", "s", "the longest wait"),
    Figure("sojourn_mean_s", "sojourn, mean", "s", "from arrival to success, over the requests that succeeded"),
    Figure("sojourn_p50_s", "sojourn, p50", "s", "half of them took no longer"),
    Figure("sojourn_p90_s", "sojourn, p90", "s", "nine in ten took no longer"),
    Figure("sojourn_p99_s", "sojourn, p99", "s", "99 in 100 took no longer"),
    Figure("sojourn_max_s", "sojourn, max", "s", "the longest"),
    Figure("utilisation", "utilisation", "part", "slots in use, of all slots"),
    Figure("jain_endpoints", "Jain, endpoints", "number", "Jain's index of calls by weight: 1 is even"),
    Figure("jain_workers", "Jain, workers", "number", "Jain's index of calls over the workers of a crew: 1 is even"),
    Figure("balance_score", "balance score", "number", "1 / (1 + variance of calls per endpoint)"),
    Figure("calls", "calls", "count", "calls to endpoints"),
    Figure("failed_calls", "failed calls", "part", "calls that failed, of all calls"),
    Figure("lost", "lost", "part", "requests that failed at every attempt or found no endpoint in time"),
    Figure("timed_out", "timed out", "part", "requests that found no endpoint in time"),
    Figure("unfinished", "unfinished", "count", "requests still under way at the end; many: it cannot keep up"),
)
_BY_KEY: Final = {figure.key: figure for figure in FIGURES}


def figure_of(key: str) -> Figure:
    """Return the figure with this key. Raises KeyError."""
    return _BY_KEY[key]


def checked_figure(key: str) -> str:
    """Return `key` if there is such a figure. Raises ConfigError with the nearest that there is."""
    if key not in _BY_KEY:
        raise ConfigError(f"unknown figure {key!r}{did_you_mean(key, _BY_KEY)} (there are: {', '.join(_BY_KEY)})")
    return key


def worded(interval: Interval, unit: Unit) -> str:
    """Return a figure and its interval, e.g. "1.23 s +-0.05"; only the figure if there is one replication."""
    scale, suffix = _scale(interval.mean, unit)
    half = "" if math.isnan(interval.half) else f" \u00b1{_rounded(interval.half * scale, interval.mean * scale)}"
    return f"{_rounded(interval.mean * scale, interval.mean * scale)}{suffix}{half}"


def worded_difference(interval: Interval, base: float, unit: Unit) -> str:
    """Return a difference with its sign and interval, and what part of `base` it is."""
    scale, suffix = _scale(interval.mean, unit)
    half = "" if math.isnan(interval.half) else f" \u00b1{_rounded(interval.half * scale, interval.mean * scale)}"
    sign = "+" if interval.mean >= 0 else "-"
    part = f" ({interval.mean / base:+.0%})" if base and abs(interval.mean / base) < 1000 else ""
    return f"{sign}{_rounded(abs(interval.mean) * scale, interval.mean * scale)}{suffix}{half}{part}"


def _scale(mean: float, unit: Unit) -> tuple[float, str]:
    if unit == "part":
        return 100.0, "%"
    if unit == "s":
        if 0 < abs(mean) < 0.9995:
            return 1000.0, " ms"
        return (1.0, " s") if abs(mean) < 9999.5 else (1 / 3600, " h")
    return 1.0, ""


def _rounded(value: float, mean: float) -> str:
    """Return `value` with the decimals that give `mean` three digits."""
    if value == 0:
        return "0"
    if abs(mean) < 0.001:
        return f"{value:.2g}"
    digits = 2 - math.floor(math.log10(abs(mean))) if mean else 2
    return f"{value:,.{min(max(digits, 0), 4)}f}".replace(",", "\u2009")
