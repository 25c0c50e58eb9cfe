"""Survival estimates: durations from times of which some are censored.

Quantiles by the estimator of Kaplan and Meier (1958). Beyond the longest ended time, the tail falls as fast as the last
part of the ended times. Without the open ones, times would look too short.
"""

from typing import Any, Final

import numpy as np
from scipy.stats import CensoredData, ecdf

from balancer_simulator.fitting.calls import Bools
from balancer_simulator.scenario.distributions import Floats

__all__ = ["LEAST_S", "empirical", "quantile_means"]

LEAST_S: Final = 1e-6
_TAIL_PART: Final = 0.1  # share of the ended times from which the tail is estimated
_TAIL_LEAST: Final = 5
_TAIL_POINTS: Final = 20


def quantile_means(times_s: Floats, open_: Bools, count: int) -> Floats:
    """Return `count` equally likely times in order, which represent all: the mean of each of `count` equal parts.

    Their mean is that of the estimate.

    Args:
        times_s: seconds of each, or seconds so far.
        open_: the time is only a lower bound.

    Raises:
        ValueError: none has ended.
    """
    values, masses = _masses(times_s, open_)
    reached = np.concatenate([[0.0], np.cumsum(masses)])
    total = np.concatenate([[0.0], np.cumsum(masses * values)])
    edges = np.linspace(0.0, reached[-1], count + 1)
    means = np.diff(np.interp(edges, reached, total)) * count / reached[-1]
    return np.asarray(np.maximum(np.sort(means), LEAST_S))  # rounding may break the order


def empirical(values_s: Floats, count: int = 0) -> dict[str, Any]:
    """Return a distribution of these times, or of `count` that represent them, with six digits for a file."""
    if 0 < count < len(values_s):
        values_s = quantile_means(values_s, np.zeros(len(values_s), dtype=np.bool_), count)
    return {"kind": "empirical", "values_s": [float(f"{value:.6g}") for value in values_s]}


def _masses(times_s: Floats, open_: Bools) -> tuple[Floats, Floats]:
    """Return times in ascending order, with the probability of each."""
    ended = times_s[~open_]
    if not len(ended):
        raise ValueError("none has ended, so their duration is unknown")
    if not open_.any():
        return np.sort(ended), np.full(len(ended), 1 / len(ended))
    left = ecdf(CensoredData(uncensored=ended, right=times_s[open_])).sf
    longest = ended.max()
    until = left.quantiles <= longest
    values = np.asarray(left.quantiles[until], dtype=np.float64)
    masses = -np.diff(left.probabilities[until], prepend=1.0)
    rest = float(left.probabilities[until][-1])
    if rest <= 0:
        return values, masses
    steps = (np.arange(_TAIL_POINTS) + 0.5) / _TAIL_POINTS
    tail = longest - _tail_mean_s(times_s, ended) * np.log1p(-steps)
    return np.concatenate([values, tail]), np.concatenate([masses, np.full(_TAIL_POINTS, rest / _TAIL_POINTS)])


def _tail_mean_s(times_s: Floats, ended: Floats) -> float:
    """Return the mean rest of a long time, as of an exponential: the sum of all rests over the number of ends."""
    many = min(len(ended), max(_TAIL_LEAST, round(_TAIL_PART * len(ended))))
    from_s = np.sort(ended)[-many]
    over = np.maximum(times_s - from_s, 0.0)
    return max(float(over.sum()) / many, LEAST_S)
