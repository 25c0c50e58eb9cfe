"""Predicted figures of one run, each with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtrit

from balancer_simulator.scenario.distributions import Floats

__all__ = ["FAR", "Predicted", "prediction_of", "reach_of", "sure_below"]

FAR: Final = 0.15
"""A fit is off if a figure of calls or waits differs by more than this part."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """A figure: its most likely value, and the ends of an interval that holds it with a certainty of 95%."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the interval."""
        return self.low <= value <= self.high


def prediction_of(values: Sequence[float]) -> Predicted:
    """Return the prediction of the next value, from one value of each resampled fit.

    The logarithm of the value is assumed normal (Hahn and Meeker, Statistical Intervals, 4.7), which covers the
    uncertainty of few draws. If not all values are above 0, the values themselves are assumed normal.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"found {len(values)} values; an interval needs at least 2")
    found = np.array(values)
    positive = bool((found > 0).all())
    scaled = np.log(found) if positive else found
    half = reach_of(scaled, 0.975)
    ends = np.array([np.median(scaled), scaled.mean() - half, scaled.mean() + half])
    value, low, high = np.exp(ends) if positive else np.maximum(ends, 0.0)
    return Predicted(float(value), float(low), float(high))


def sure_below(values: Sequence[float], certainty: float) -> float:
    """Return what the next value is below with this certainty: the upper end of an interval with one end."""
    logs = np.log(np.maximum(values, 1e-9))
    return float(np.exp(logs.mean() + reach_of(logs, certainty)))


def reach_of(values: Floats, quantile: float) -> float:
    """Return by how much the next value may be above the mean of these, which are normal, at a quantile."""
    count = len(values)
    return float(stdtrit(count - 1, quantile) * values.std(ddof=1)) * math.sqrt(1 + 1 / count)
