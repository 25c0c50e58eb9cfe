"""Distributions of seconds, as data: exponential, lognormal, Pareto, empirical and others.

One uniform number makes one duration. So two runs with the same numbers differ only in their use of them (common random
numbers).
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri

from balancer.settings.tables import CheckedInPython

__all__ = [
    "LEAST_S",
    "Count",
    "Deterministic",
    "Distribution",
    "Empirical",
    "Exponential",
    "Floats",
    "Lognormal",
    "Pareto",
    "Positive",
    "Seconds",
]

LEAST_S = 1e-6
"""A worker without think time would ask again more often than that, and a run would not end."""

Floats = NDArray[np.float64]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Deterministic(CheckedInPython):
    """Always the same."""

    kind: Literal["deterministic"] = "deterministic"
    mean_s: Seconds

    def of(self, uniform: Floats) -> Floats:
        """Return a duration for each number in [0, 1)."""
        return np.full_like(uniform, self.mean_s)


class Exponential(CheckedInPython):
    """Memoryless: the usual assumption of queueing theory."""

    kind: Literal["exponential"] = "exponential"
    mean_s: Positive

    def of(self, uniform: Floats) -> Floats:
        """Return a duration for each number in [0, 1)."""
        return -self.mean_s * np.log1p(-uniform)


class Lognormal(CheckedInPython):
    """Most are short, some are long, like the running times of programs. `cv` is deviation / mean."""

    kind: Literal["lognormal"] = "lognormal"
    mean_s: Positive
    cv: Positive = 1.0

    def of(self, uniform: Floats) -> Floats:
        """Return a duration for each number in [0, 1)."""
        variance = math.log1p(self.cv**2)
        normal = ndtri(np.maximum(uniform, 1e-300))  # 0 would be minus infinity
        return self.mean_s * np.exp(math.sqrt(variance) * normal - variance / 2)


class Pareto(CheckedInPython):
    """A power tail: the longest durations make up most of the time. `alpha` > 1; up to 2 the variance is infinite."""

    kind: Literal["pareto"] = "pareto"
    mean_s: Positive
    alpha: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.5

    def of(self, uniform: Floats) -> Floats:
        """Return a duration for each number in [0, 1)."""
        least_s = self.mean_s * (self.alpha - 1) / self.alpha
        return least_s * np.power(1 - uniform, -1 / self.alpha)


class Empirical(CheckedInPython):
    """One of the measured durations, each equally likely."""

    kind: Literal["empirical"] = "empirical"
    values_s: Annotated[list[Seconds], Field(min_length=1)]

    @property
    def mean_s(self) -> float:
        """Mean of the values, in seconds."""
        return float(np.mean(self.values_s))

    def of(self, uniform: Floats) -> Floats:
        """Return a duration for each number in [0, 1)."""
        values: Any = np.asarray(sorted(self.values_s))
        return np.asarray(values[(uniform * len(values)).astype(np.intp)], dtype=np.float64)


Distribution = Annotated[
    Deterministic | Exponential | Lognormal | Pareto | Empirical,
    Field(discriminator="kind"),
]
