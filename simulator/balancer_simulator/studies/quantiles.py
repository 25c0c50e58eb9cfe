"""Quantiles over replications: pooled, with intervals, or refused.

The mean of the replications' own quantiles is off by what each is off, however many there are: a run of 500 requests
has five beyond its p99, and they are not the five longest that there could have been. So the observations are pooled.

The interval is the wider of two. The first takes the replications as sections of one sample (sectioning: Asmussen and
Glynn, Stochastic Simulation, III.5b): Student's t of their quantiles about the pooled one. The second asks how well the
part beyond the quantile is known, again by Student's t, and reads the quantiles at both ends of that: it sees a long
tail that no section has. Where the part beyond may as well be nothing, or twice as much, the quantile is refused: the
runs are too short, or too few, for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import stdtrit

from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import KindRecord, Record
from balancer_simulator.studies.intervals import Interval

__all__ = ["QUANTILES", "Pooled", "pooled", "quantile_difference"]

_OF_A_CLUSTER: Final = ("network_wait", "owner_wait", "slot_wait")

QUANTILES: Final = {
    **{f"{of}_p{q}_s": (of, q / 100) for of in ("wait", "sojourn") for q in (50, 90, 99)},
    **{f"{of}_p99_s": (of, 0.99) for of in _OF_A_CLUSTER},
}
"""What is counted, and the quantile, by the figure's key."""

_LEAST_BEYOND: Final = 10
"""Observations beyond a quantile, in all replications together; with fewer it is an anecdote."""

_MANY_TIMES: Final = 100  # beyond that nobody knows how often


@dataclass(frozen=True, slots=True)
class Pooled:
    """The quantile of all replications together; why it is refused, or ""; and that of each by itself."""

    interval: Interval
    refusal: str
    each: tuple[float, ...]


def pooled(records: Sequence[Record | KindRecord], key: str, confidence: float = 0.95) -> Pooled:
    """Return the quantile `key` of all of `records`, one for each replication.

    Raises:
        KeyError: `key` is no quantile.
    """
    of, q = QUANTILES[key]
    tallies: list[CensoredHistogram] = [getattr(_has(record, of), of) for record in records]
    whole = CensoredHistogram.merged(tallies)
    value = whole.quantile(q)
    each = tuple(tally.quantile(q) for tally in tallies)
    count, part = len(tallies), min(q, 1 - q)
    if math.isclose(whole.most, 0.0):
        return Pooled(Interval(0.0, 0.0 if count > 1 else math.nan, count, 0.0), "", each)
    wanted = math.ceil(_LEAST_BEYOND / part)
    if whole.count < wanted:
        refusal = f"{whole.count} observations, and it takes at least {wanted}"
        return Pooled(Interval(value, math.inf, count, 0.0), refusal, each)
    if count == 1:
        return Pooled(Interval(value, math.nan, 1, 0.0), "", each)
    factor = float(stdtrit(count - 1, 0.5 + confidence / 2)) / math.sqrt(count)
    beyond = [tally.beyond(value) for tally in tallies]
    unsure = factor * _deviation(beyond, math.fsum(beyond) / count)
    half = factor * _deviation(each, value)
    if unsure >= part:
        refusal = f"how many are beyond it differs too much from run to run, and it takes {_longer(unsure / part)}"
        return Pooled(Interval(value, math.inf, count, 0.0), refusal, each)
    low, high = whole.quantile(max(0.0, q - unsure)), whole.quantile(min(1.0, q + unsure))
    return Pooled(Interval(value, max(half, value - low, high - value), count, 0.0), "", each)


def quantile_difference(found: Pooled, other: Pooled, confidence: float = 0.95) -> Interval:
    """Return found - other, with an interval from their differences replication by replication (sectioning).

    With common random numbers most of the noise is the same in both and drops out.
    """
    value = found.interval.mean - other.interval.mean
    count = len(found.each)
    if found.refusal or other.refusal:
        return Interval(value, math.inf, count)
    if count == 1:
        return Interval(value, math.nan, 1)
    differences = [one - two for one, two in zip(found.each, other.each, strict=True)]
    half = float(stdtrit(count - 1, 0.5 + confidence / 2)) * _deviation(differences, value) / math.sqrt(count)
    return Interval(value, half, count)


def _has(record: Record | KindRecord, of: str) -> object:
    """Return what counts that in a run."""
    return record.cluster if of in _OF_A_CLUSTER and isinstance(record, Record) else record


def _longer(too_wide: float) -> str:
    """Return how much longer runs must be for an interval that is so many times as wide as it may be."""
    times = math.ceil(too_wide**2)  # it is narrower by the root of the time
    return f"runs about {max(2, times)} times as long" if times <= _MANY_TIMES else "far longer runs"


def _deviation(values: Sequence[float], about: float) -> float:
    return math.sqrt(math.fsum((value - about) ** 2 for value in values) / (len(values) - 1))
