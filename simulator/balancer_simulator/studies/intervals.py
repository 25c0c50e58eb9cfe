"""Confidence intervals of a mean over replications, and prediction limits.

Intervals are Student's t over replications, which are independent; 95% unless said otherwise. They work for any figure.

Quantiles over replications are pooled, with intervals, or refused. The mean of the replications' own quantiles has the
same bias as each of them, for any number of replications: a run of 500 requests has five beyond its p99, and they are
not the five longest possible ones. So the observations are pooled.

The interval is the wider of two. The first takes the replications as sections of one sample (sectioning: Asmussen and
Glynn, Stochastic Simulation, III.5b): Student's t of their quantiles about the pooled one. The second estimates the
uncertainty of the part beyond the quantile, again by Student's t, and reads the quantiles at both of its ends: it
covers a long tail that no section has. If the part beyond may be nothing, or twice as much, the quantile is refused:
the runs are too short, or too few, for it.

A few runs may agree by chance although none of them has seen a busy spell. So a quantile is also refused if too few
independent observations are beyond it. Requests that come close together wait alike, and n of them count as `n / (1 + 2
* (sum of the autocorrelations))` independent ones. The autocorrelations are those of the number of requests under way,
whose mean is that of the sojourns, by Little's law. The mean over the runs at each instant is taken off first: what is
left has the same autocorrelations, without the bias of short runs, and no run has a trend in common with the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.special import stdtrit

from balancer_simulator.run.record import Tally
from balancer_simulator.run.times import Times

__all__ = [
    "QUANTILES",
    "Interval",
    "Pooled",
    "difference_of",
    "independent",
    "interval_of",
    "pooled",
]

QUANTILES: Final = {
    **{f"{of}_p{q}_s": (of, q / 100) for of in ("wait", "sojourn") for q in (50, 90, 99)},
}
"""What is counted, and the quantile, by the figure's key."""


@dataclass(frozen=True, slots=True, repr=False)
class Interval:
    """The mean over `count` replications, plus or minus `half`; `half` is NaN if there is only one.

    `half` is infinite if the figure is refused, because the runs are too short. The interval is cut at `least`: a time
    is never below 0, while a difference may be.
    """

    mean: float
    half: float
    count: int
    least: float = -math.inf

    def __str__(self) -> str:
        """Return it as text, e.g. "2.11 ± 0.99"."""
        if self.is_refused:
            return "too short to tell"
        if math.isnan(self.half):
            return f"{self.mean:.3g} (one replication)"
        decimals = max(0, 1 - math.floor(math.log10(self.half))) if self.half > 0 else 3
        if self.is_cut:
            return f"{self.mean:.{decimals}f} ({self.low:g} to {self.high:.{decimals}f})"
        return f"{self.mean:.{decimals}f} \u00b1 {self.half:.{decimals}f}"

    def __repr__(self) -> str:
        """Return its numbers, except refused ones, which must not look like a result."""
        if self.is_refused:
            return f"Interval(too short to tell, count={self.count})"
        return f"Interval(mean={self.mean!r}, low={self.low!r}, high={self.high!r}, count={self.count})"

    @property
    def is_cut(self) -> bool:
        """Whether `low` is cut at `least`."""
        return self.mean - self.half < self.least

    @property
    def low(self) -> float:
        """The lower end."""
        return self.least if self.is_cut else self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half

    @property
    def is_refused(self) -> bool:
        """Whether nothing is known: then `mean` is only the value of these runs."""
        return math.isinf(self.half)

    @property
    def is_clear(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.low > 0 or self.high < 0


def interval_of(values: Sequence[float], *, least: float = -math.inf) -> Interval:
    """Return the mean of `values`, one for each replication, with its 95% interval, cut at `least`.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values give no interval; run at least one replication")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.nan, 1, least)
    return Interval(mean, _half(values, mean), count, least)


_LEAST_BEYOND: Final = 10
"""Observations beyond a quantile, in all replications together; with fewer it is an anecdote."""

_LEAST_INDEPENDENT: Final = 3.0
"""Independent observations beyond a quantile, see `independent`. With fewer most intervals mislead."""

_UNLIKE: Final = 0.05  # autocorrelations from the first that is less are noise

_MANY_TIMES: Final = 100  # larger factors are not named


@dataclass(frozen=True, slots=True)
class Pooled:
    """A figure of all replications together; why it is refused, or ""; and the figure of each one."""

    interval: Interval
    refusal: str
    each: tuple[float, ...]


def independent(records: Sequence[Tally]) -> float:
    """Return how many independent observations the requests of `records` count as, at least one a replication.

    It is infinite if that is unknown: there is one replication, the workload has an end, or the number of requests
    under way is always the same.
    """
    return _independent(tuple(record.numbers for record in records))


@lru_cache(maxsize=64)
def _independent(runs: tuple[tuple[int, ...], ...]) -> float:
    length = min(map(len, runs))
    if len(runs) < 2 or length < 2:
        return math.inf
    numbers = np.array([run[:length] for run in runs], dtype=float)
    apart = numbers - numbers.mean(axis=0)
    variance = float((apart**2).mean())
    if not variance:
        return math.inf
    alike = 1.0
    for lag in range(1, length):
        found = float((apart[:, lag:] * apart[:, :-lag]).mean()) / variance
        if found < _UNLIKE:
            break
        alike += 2 * found
    return max(float(len(runs)), apart.size / alike)


def pooled(records: Sequence[Tally], key: str) -> Pooled:
    """Return the quantile `key` of all of `records`, one for each replication.

    Raises:
        KeyError: `key` is no quantile.
    """
    of, q = QUANTILES[key]
    tallies: list[Times] = [getattr(record, of) for record in records]
    whole = Times.merged(tallies)
    value = whole.quantile(q)
    each = tuple(tally.quantile(q) for tally in tallies)
    count, part = len(tallies), min(q, 1 - q)
    if math.isclose(whole.most, 0.0):
        return Pooled(Interval(0.0, 0.0 if count > 1 else math.nan, count, 0.0), "", each)
    wanted = math.ceil(_LEAST_BEYOND / part)
    if whole.count < wanted:
        refusal = f"{whole.count} observations; it needs at least {wanted}"
        return Pooled(Interval(value, math.inf, count, 0.0), refusal, each)
    if count == 1:
        return Pooled(Interval(value, math.nan, 1, 0.0), "", each)
    apart = independent(records) * part
    if apart < _LEAST_INDEPENDENT:
        refusal = (
            f"requests that come close together are alike: {apart:.2g} independent ones are beyond it; it needs "
            f"{_LEAST_INDEPENDENT:g}, that is {_longer(_LEAST_INDEPENDENT / apart)}"
        )
        return Pooled(Interval(value, math.inf, count, 0.0), refusal, each)
    beyond = [tally.beyond(value) for tally in tallies]
    unsure = _half(beyond, math.fsum(beyond) / count)
    if unsure >= part:
        longer = _longer((unsure / part) ** 2)  # the width falls with the root of the time
        refusal = f"the number beyond it differs too much from run to run; it needs {longer}"
        return Pooled(Interval(value, math.inf, count, 0.0), refusal, each)
    low, high = whole.quantile(max(0.0, q - unsure)), whole.quantile(min(1.0, q + unsure))
    return Pooled(Interval(value, max(_half(each, value), value - low, high - value), count, 0.0), "", each)


def difference_of(found: Pooled, other: Pooled) -> Interval:
    """Return found - other, with an interval from their differences by replication (of quantiles: sectioning).

    With common random numbers most of the noise is the same in both and cancels.
    """
    value = found.interval.mean - other.interval.mean
    differences = [one - two for one, two in zip(found.each, other.each, strict=True)]
    count = len(differences)
    if found.refusal or other.refusal:
        return Interval(value, math.inf, count)
    if count == 1:
        return Interval(value, math.nan, 1)
    return Interval(value, _half(differences, value), count)


def _longer(too_short: float) -> str:
    """Return how much longer runs must be, as text."""
    times = math.ceil(too_short)
    return f"runs about {max(2, times)} times as long" if times <= _MANY_TIMES else "far longer runs"


def _half(values: Sequence[float], about: float) -> float:
    """Return half of the 95% interval of the mean, from the deviations about a value: Student's t."""
    count = len(values)
    deviation = math.sqrt(math.fsum((value - about) ** 2 for value in values) / (count - 1))
    return float(stdtrit(count - 1, 0.975)) * deviation / math.sqrt(count)
