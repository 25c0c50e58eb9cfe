"""Confidence intervals of a mean over replications, and prediction limits.

Intervals are Student's t over replications, which are independent; 95% unless said otherwise. Any figure will do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

__all__ = ["Interval", "at_most_of", "difference_of", "interval_of"]


@dataclass(frozen=True, slots=True, repr=False)
class Interval:
    """The mean over `count` replications, give or take `half`; `half` is NaN when there is only one.

    It is infinite where the figure is refused: the runs are too short to say anything of it. Nothing is below `least`:
    a time is never less than 0, while a difference may be.
    """

    mean: float
    half: float
    count: int
    least: float = -math.inf

    def __str__(self) -> str:
        """Return it in words, e.g. "2.11 ± 0.99"."""
        if self.is_refused:
            return "too short to tell"
        if math.isnan(self.half):
            return f"{self.mean:.3g} (one replication)"
        decimals = max(0, 1 - math.floor(math.log10(self.half))) if self.half > 0 else 3
        if self.is_cut:
            return f"{self.mean:.{decimals}f} ({self.low:g} to {self.high:.{decimals}f})"
        return f"{self.mean:.{decimals}f} \u00b1 {self.half:.{decimals}f}"

    def __repr__(self) -> str:
        """Return its numbers, but none that are refused: they must not look like a result."""
        if self.is_refused:
            return f"Interval(too short to tell, count={self.count})"
        return f"Interval(mean={self.mean!r}, low={self.low!r}, high={self.high!r}, count={self.count})"

    @property
    def is_cut(self) -> bool:
        """Whether `low` is no further down than it is as nothing is below that."""
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
        """Whether nothing is known, and `mean` is only what happened to come of these runs."""
        return math.isinf(self.half)

    @property
    def is_clear(self) -> bool:
        """Whether it is clearly above or clearly below 0."""
        return self.low > 0 or self.high < 0


def interval_of(values: Sequence[float], confidence: float = 0.95, *, least: float = -math.inf) -> Interval:
    """Return the mean of `values`, one for each replication, with its confidence interval; nothing is below `least`.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is no interval of no values; run at least one replication")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.nan, 1, least)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1))
    half = float(stdtrit(count - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(count)
    return Interval(mean, half, count, least)


def difference_of(values: Sequence[float], others: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of values - others, pair by pair, with its interval.

    With common random numbers most of the noise is the same in both and drops out.

    Raises:
        ValueError: there are not as many of each, or none.
    """
    if len(values) != len(others):
        raise ValueError(f"{len(values)} values and {len(others)} others; a paired difference takes as many of each")
    return interval_of(np.subtract(values, others).tolist(), confidence)


def at_most_of(values: Sequence[float], certainty: float = 0.95) -> float:
    """Return what one more replication stays below with `certainty`: the upper prediction limit for normal values.

    It is mean + t * deviation * sqrt(1 + 1/n): it allows for the scatter of the one and for what n values leave
    unknown (Hahn and Meeker, Statistical Intervals, 4.7). With few values that is a wide margin.

    Raises:
        ValueError: there are fewer than two values, so nothing is known of their scatter.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"found {count} values; a limit for the next one takes at least 2: run more replications")
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1))
    return mean + float(stdtrit(count - 1, certainty)) * deviation * math.sqrt(1 + 1 / count)
