"""Times of many requests in constant memory, some of them only known to be longer.

Buckets are 2.2% wide and count as evenly filled. So a quantile is within 2.2% of the truth, and mostly much nearer;
mean and most are exact. Open times have only a lower bound, as that of a request still under way. They count by the
estimator of Kaplan and Meier (1958): without them all times would look too short.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from balancer.core.metrics import BUCKETS_PER_OCTAVE
from balancer_simulator.scenario.distributions import Floats

__all__ = ["Times"]

_SHORTEST_S: Final = 2.0**-40  # shorter times count as this, 1e-12 s; 0 is counted apart
_BUCKETS: Final = 80 * BUCKETS_PER_OCTAVE  # up to 2**40 s
_EDGES: Final = np.concatenate([[0.0], _SHORTEST_S * np.exp2(np.arange(1, _BUCKETS + 1) / BUCKETS_PER_OCTAVE)])
_MIDDLES: Final = _EDGES * 2 ** (-0.5 / BUCKETS_PER_OCTAVE)


class Times:
    """Times >= 0, in seconds.

    If the largest is open, it counts as if it ended there (Efron, 1967), so times that hardly ever end are longer than
    they look. With open times the mean is within 2.2%, or within 1e-12 s.

    Attributes:
        count: number of times, without open ones.
        most: the largest; 0 if there are none.
    """

    __slots__ = ("_buckets", "_open", "_total", "count", "most")

    def __init__(self, known: Iterable[float] = (), still: Iterable[float] = ()) -> None:
        self._buckets, self._open = np.zeros((2, 1 + _BUCKETS))  # of the first bucket are the zeros
        self._total = self.most = 0.0
        self.count = 0
        self.add(np.array(list(known)))
        self.add_open(np.array(list(still)))

    def add(self, values: Floats) -> None:
        """Count some times."""
        if len(values):
            self._buckets += _counted(values)
            self._total += float(values.sum())
            self.count += len(values)
            self.most = max(self.most, float(values.max()))

    def add_open(self, values: Floats) -> None:
        """Count times of which these are lower bounds."""
        if len(values):
            self._open += _counted(values)
            self.most = max(self.most, float(values.max()))

    @property
    def mean(self) -> float:
        """Mean of the times; 0 if there are none, or only open ones."""
        if not self.count:
            return 0.0
        # The error of the buckets on the known times is assumed for all.
        shares = self._shares()
        return self._total / self.count + float((shares - self._buckets / self.count) @ _MIDDLES)

    def quantile(self, q: float) -> float:
        """Return the time that a share `q` (0..1) of all do not exceed, to 2.2%; 0 if there are none."""
        if not self.count:
            return 0.0
        among = self.count + self._open.sum()
        rank = max(math.ceil(q * among), 1) - 0.5
        return min(self.most, float(np.interp(rank / among, np.cumsum(self._shares()), _EDGES)))

    def beyond(self, value: float) -> float:
        """Return the share of all that are larger than `value`."""
        return float(1 - np.interp(value, _EDGES, np.cumsum(self._shares()))) if self.count else 0.0

    def tail(self) -> tuple[Floats, Floats]:
        """Return times in ascending order, and the share of all that are larger than each: the tail of the CDF."""
        shares = self._shares()
        places = np.flatnonzero(shares[1:]) + 1
        return _EDGES[[0, *places]], np.maximum(shares.sum() - np.cumsum(shares)[[0, *places]], 0.0)

    def _shares(self) -> Floats:
        """Return the share of all in each bucket: of those that reach it, the part that is known to end there."""
        reach = np.cumsum((self._buckets + self._open)[::-1])[::-1]
        if not self._open.any():
            return self._buckets / max(1, self.count)
        beyond = np.cumprod(1 - self._buckets / np.maximum(reach, 1))
        shares = -np.diff(beyond, prepend=1.0)
        shares[np.flatnonzero(reach)[-1]] += beyond[-1]
        return shares

    @classmethod
    def merged(cls, parts: Iterable["Times"]) -> "Times":
        """Return all times of `parts`."""
        whole = cls()
        for each in parts:
            whole._buckets += each._buckets
            whole._open += each._open
            whole._total += each._total
            whole.count += each.count
            whole.most = max(whole.most, each.most)
        return whole


def _counted(values: Floats) -> Floats:
    """Return how many values each bucket has."""
    octaves = np.log2(np.maximum(values, _SHORTEST_S) / _SHORTEST_S)
    places = np.where(values > 0, np.minimum((octaves * BUCKETS_PER_OCTAVE).astype(np.int64), _BUCKETS - 1) + 1, 0)
    return np.bincount(places, minlength=1 + _BUCKETS).astype(float)
