"""Figures of a run: key, heading, unit, better end, meaning. Used by the ranking of a study and by reports.

Formatting: a figure and its interval have one unit and significant digits. A figure has three digits, but none beyond
the second digit of its interval (JCGM 100:2008, 7.2.6: an uncertainty has at most two significant digits, and its
figure the same decimals). Pure.
"""

import math
import sys
from dataclasses import dataclass
from typing import Final, Literal

from balancer.errors import ConfigError
from balancer.values.wording import did_you_mean
from balancer_simulator.studies.intervals import Interval

__all__ = [
    "FIGURES",
    "TOO_SHORT",
    "Figure",
    "Unit",
    "capital",
    "checked_figure",
    "figure_of",
    "ranking_figure",
    "worded",
    "worded_difference",
]

Better = Literal["less", "more", "none"]
Unit = Literal["s", "part", "number", "count"]
TOO_SHORT: Final = "too short"
"""What stands for a figure that the runs are too short for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in `Record.metrics`, a short heading, its unit, which end is better, and its meaning."""

    key: str
    heading: str
    unit: Unit
    better: Better
    meaning: str


FIGURES: Final = (
    Figure("throughput_per_s", "requests/s", "number", "more", "requests that succeeded, per second"),
    Figure("makespan_s", "makespan", "s", "less", "end of the last request, if the workload has an end"),
    Figure("makespan_by_bound", "makespan / bound", "number", "less", "makespan / bound, which no schedule can beat"),
    Figure("wait_mean_s", "wait, mean", "s", "less", "from asking for an endpoint to the lease, over all leases"),
    Figure("wait_p50_s", "wait, p50", "s", "less", "half of the leases waited no longer"),
    Figure("wait_p90_s", "wait, p90", "s", "less", "nine in ten waited no longer"),
    Figure("wait_p99_s", "wait, p99", "s", "less", "99 in 100 waited no longer"),
    Figure("wait_max_s", "wait, max", "s", "less", "the longest wait"),
    Figure("sojourn_mean_s", "sojourn, mean", "s", "less", "from arrival to success"),
    Figure("sojourn_p50_s", "sojourn, p50", "s", "less", "half of them took no longer"),
    Figure("sojourn_p90_s", "sojourn, p90", "s", "less", "nine in ten took no longer"),
    Figure("sojourn_p99_s", "sojourn, p99", "s", "less", "99 in 100 took no longer"),
    Figure("sojourn_max_s", "sojourn, max", "s", "less", "the longest"),
    Figure("cached_blocks", "cached blocks", "part", "more", "blocks of prompts that were in the cache, of all"),
    Figure("cached_at_best", "cached at best", "part", "more", "the same with one endless cache for all endpoints"),
    Figure("imbalance", "imbalance", "number", "less", "slots in use at the busiest endpoint, by the mean: 1 is even"),
    Figure(
        "moved_turns", "moved turns", "part", "less", "later turns that another endpoint answered than the one before"
    ),
    Figure("broken_sessions", "broken sessions", "part", "less", "sessions that lost a request, of all sessions"),
    Figure("utilisation", "utilisation", "part", "more", "slots in use, of all slots"),
    Figure("jain_endpoints", "Jain, endpoints", "number", "more", "Jain's index of calls by weight: 1 is even"),
    Figure(
        "jain_workers",
        "Jain, workers",
        "number",
        "more",
        "Jain's index of calls over workers that work together: 1 is even",
    ),
    Figure("balance_score", "balance score", "number", "more", "1 / (1 + variance of calls per endpoint)"),
    Figure("calls", "calls", "count", "none", "calls to endpoints"),
    Figure("failed_calls", "failed calls", "part", "less", "calls that failed, of all calls"),
    Figure("lost", "lost", "part", "less", "requests that failed at every attempt or found no endpoint in time"),
    Figure("timed_out", "timed out", "part", "less", "requests that found no endpoint in time"),
    Figure("unfinished", "unfinished", "part", "less", "requests still in flight at the end, of all arrivals"),
)
_BY_KEY: Final = {figure.key: figure for figure in FIGURES}


def figure_of(key: str) -> Figure:
    """Return the figure with this key. Raises KeyError."""
    return _BY_KEY[key]


def checked_figure(key: str) -> str:
    """Return `key` if there is such a figure. Raises ConfigError with similar keys."""
    if key not in _BY_KEY:
        raise ConfigError(f"unknown figure {key!r}{did_you_mean(key, _BY_KEY)} (there are: {', '.join(_BY_KEY)})")
    return key


def ranking_figure(key: str) -> Figure:
    """Return the figure with this key, if one of its ends is better. Raises ConfigError with all such keys."""
    figure = figure_of(checked_figure(key))
    if figure.better == "none":
        able = ", ".join(other.key for other in FIGURES if other.better != "none")
        raise ConfigError(f"{key!r} is neither better nor worse when it is higher, so it cannot rank; rank by {able}")
    return figure


def capital(sentence: str) -> str:
    """Return a sentence with a capital; what else is in it stays."""
    return f"{sentence[:1].upper()}{sentence[1:]}"


_NOISE_S: Final = 1e-9  # of times that are sums of floats
_MANY_TIMES: Final = 10.0  # from here on "x 12" instead of "+1100%"


def worded(interval: Interval, unit: Unit) -> str:
    """Return a figure and its interval, e.g. "1.23 s +-0.06"; only the figure if there is one replication.

    "9 ms (0 to 20)" if the interval is cut at 0; "too short" if the figure is refused.
    """
    return TOO_SHORT if interval.is_refused else _written(interval, unit, sign=False)


def worded_difference(interval: Interval, base: float, unit: Unit) -> str:
    """Return a difference with its sign and interval, and its ratio to `base`, e.g. "+30 ms +-4 (+12%)".

    From 1000% on, the ratio is how many times `base` the other figure is: "(x 12)". A difference of 0 has none.
    """
    if interval.is_refused:
        return TOO_SHORT
    if not _rounded_off(interval.mean, unit) and not _rounded_off(_half(interval), unit):
        return _written(interval, unit, sign=False)
    return _written(interval, unit, sign=True) + (f" ({_part(interval, base)})" if base > 0 else "")


def _written(interval: Interval, unit: Unit, *, sign: bool) -> str:
    mean, half = _rounded_off(interval.mean, unit), _rounded_off(_half(interval), unit)
    scale, suffix = _scale_of(max(abs(mean), half), unit)
    mean, half = mean * scale, half * scale
    decimals = _decimals(mean, half)
    figure = _digits(mean, decimals, sign=sign)
    if math.isnan(interval.half):
        return f"{figure}{suffix}"
    if interval.is_cut and interval.low == 0:
        return f"{figure}{suffix} (0 to {_digits(mean + half, decimals)})"
    return f"{figure}{suffix} \u00b1{_spread(half, decimals)}"


def _decimals(mean: float, half: float) -> int:
    """Return the number of decimals for a figure and its interval."""
    found = [_decimals_of(value, digits) for value, digits in ((mean, 3), (half, 2)) if value]
    return max(0, min(found, default=0))


def _decimals_of(value: float, digits: int) -> int:
    """Return the decimals that give `value` this number of significant digits; below 0 if the units are too many."""
    return digits - 1 - math.floor(math.log10(abs(value)))


def _digits(value: float, decimals: int, *, sign: bool = False) -> str:
    worded = f"{abs(value):,.{decimals}f}".replace(",", "\u2009")
    if not worded.strip("0."):
        return worded
    return f"{'+' if value > 0 else '-'}{worded}" if sign or value < 0 else worded


def _spread(half: float, decimals: int) -> str:
    """Return half an interval, never rounded down to 0."""
    least = 10.0**-decimals
    if half == 0:
        return "0"
    return f"<{least:.{decimals}f}" if half < least / 2 else _digits(half, decimals)


def _part(interval: Interval, base: float) -> str:
    part, half = interval.mean / base, _half(interval) / base
    if part >= _MANY_TIMES:
        return f"\u00d7 {_digits(float(f'{part + 1:.3g}'), 0)}"
    found = [_decimals_of(100 * value, digits) for value, digits in ((part, 2), (half, 1)) if value]
    worded = f"{100 * part:+.{min(max(0, min(found, default=0)), 2)}f}%"
    return worded if worded.strip("+-0.%") else "0%"


def _scale_of(size: float, unit: Unit) -> tuple[float, str]:
    """Return the factor and the name of the unit that suits a value of this size."""
    if unit == "part":
        return 100.0, "%"
    if unit == "s":
        if 0 < size < 0.9995:
            return 1000.0, " ms"
        return (1.0, " s") if size < 9999.5 else (1 / 3600, " h")
    return 1.0, ""


def _rounded_off(value: float, unit: Unit) -> float:
    return 0.0 if abs(value) < (_NOISE_S if unit == "s" else sys.float_info.min) else value


def _half(interval: Interval) -> float:
    return 0.0 if math.isnan(interval.half) else interval.half
