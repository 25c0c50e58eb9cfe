"""Censored histogram in constant memory, with Kaplan-Meier quantiles.

Buckets are 2.2% wide and count as evenly filled. So a quantile is within 2.2% of the truth, and mostly much nearer;
mean and most are exact. Values with only a lower bound, as of a request still under way, count by the estimator of
Kaplan and Meier (1958): without them all values would look too short.

The buckets are as wide as those of a pool's waits (`WaitHistogram`). Those are counted one at a time, without numpy,
and are never open. This histogram counts blocks of values at once, so a simulation of millions of requests stays fast.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from balancer.core.metrics import BUCKETS_PER_OCTAVE as _PER_OCTAVE
from balancer_simulator.scenario.distributions import Floats

__all__ = ["CensoredHistogram"]

_SHORTEST_S: Final = 2.0**-40  # shorter values count as this, 1e-12 s; 0 is counted apart
_BUCKETS: Final = 80 * _PER_OCTAVE  # up to 2**40 s

_NOISE: Final = 1e-12  # of sums of parts

Counts = NDArray[np.int64]
_Packed = tuple[list[int], list[int]]  # indices of buckets that are not empty, and their counts


class CensoredHistogram:
    """Counts values >= 0. `add` costs an append; the memory is that of a block and the buckets.

    Open values have only a lower bound, see `leave_open`. They count in mean, most, quantiles and tail; the mean is
    then within 2.2%, like the quantiles, or within 1e-12 s. If the largest value is open, it counts as if it ended
    there (Efron, 1967), so values that hardly ever end are longer than they look.
    """

    __slots__ = ("_block", "_buckets", "_count", "_most", "_open", "_total", "add")

    def __init__(self) -> None:
        self._block: list[float] = []
        # The first bucket has the zeros, the others the values up to their upper edge.
        self._buckets = np.zeros(1 + _BUCKETS, dtype=np.int64)
        self._open: Counts | None = None
        self._count = 0
        self._total = 0.0
        self._most = 0.0
        self.add = self._block.append
        """Count one value; call `settle` now and then, or the block grows."""

    def settle(self) -> None:
        """Count the values added since the last time."""
        values = np.array(self._block)
        self._block.clear()
        self.count_all(values)

    def count_all(self, values: Floats) -> None:
        """Count some values."""
        if len(values):
            self._total += float(values.sum())
            self._count += len(values)
            self._most = max(self._most, float(values.max()))
            self._buckets += _counted(values)

    def leave_open(self, values: Iterable[float]) -> None:
        """Count values of which these are lower bounds."""
        found = np.array(list(values), dtype=float)
        if len(found):
            self._most = max(self._most, float(found.max()))
            self._open = _counted(found) if self._open is None else self._open + _counted(found)

    @property
    def count(self) -> int:
        """Number of values, without open ones."""
        self.settle()
        return self._count

    @property
    def mean(self) -> float:
        """Mean of the values; 0 if there are none, or only open ones."""
        if not self.count:
            return 0.0
        mean = self._total / self._count
        if self._open is None:
            return mean
        # The error of the buckets on the known values is assumed for all values.
        known, estimated = float(self._buckets @ _middles()), float(self._weights() @ _middles())
        return estimated / self._all + (mean - known / self._count)

    @property
    def most(self) -> float:
        """The largest value; 0 if there are none."""
        self.settle()
        return self._most

    def quantile(self, q: float) -> float:
        """Return the value that a share `q` (0..1) of all do not exceed, to 2.2%; 0 if there are none."""
        if not self.count:
            return 0.0
        weights = self._weights()
        below = np.cumsum(weights)
        rank = math.ceil(q * self._all)
        place = int(np.searchsorted(below, min(rank, below[-1]) - _NOISE * self._all))
        if not place:
            return 0.0
        inside = float(weights[place])
        part = (rank - (float(below[place]) - inside) - 0.5) / inside  # how far into the bucket, by rank
        return min(self._most, float(_SHORTEST_S * 2.0 ** ((place - 1 + min(max(part, 0.0), 1.0)) / _PER_OCTAVE)))

    def beyond(self, value: float) -> float:
        """Return the share of all that are larger than `value`; its bucket counts as evenly filled."""
        if not self.count:
            return 0.0
        weights = self._weights()
        if value <= 0:
            return float(1 - weights[0] / self._all)
        octaves = math.log2(max(value, _SHORTEST_S) / _SHORTEST_S) * _PER_OCTAVE
        place = min(int(octaves), _BUCKETS - 1) + 1
        inside = float(weights[place]) * (1 - min(1.0, octaves - (place - 1)))
        return (float(weights[place + 1 :].sum()) + inside) / self._all

    def tail(self) -> tuple[Floats, Floats]:
        """Return values in ascending order, and the share of all that are larger than each: the tail of the CDF."""
        self.settle()
        weights = self._weights()
        places = np.flatnonzero(weights[1:]) + 1
        larger = np.maximum(self._all - np.cumsum(weights)[[0, *places]], 0.0)
        return np.concatenate([[0.0], _edges()[places - 1]]), larger / max(1, self._all)

    @property
    def _all(self) -> int:
        return self._count + (0 if self._open is None else int(self._open.sum()))

    def _weights(self) -> Floats:
        """Return how many values each bucket has. Open values are spread over the buckets behind theirs.

        This is the estimator of Kaplan and Meier: of the values that reach a bucket, known or open, the share that is
        known to be in it is the chance to end there.
        """
        if self._open is None:
            return self._buckets.astype(float)
        seen = self._buckets + self._open
        getting_there = np.cumsum(seen[::-1])[::-1]
        staying = 1 - self._buckets / np.maximum(getting_there, 1)
        beyond = np.cumprod(staying)
        weights = -np.diff(beyond, prepend=1.0)
        weights[np.flatnonzero(seen)[-1]] += beyond[-1]
        return np.asarray(weights * self._all)

    @classmethod
    def merged(cls, tallies: Iterable["CensoredHistogram"]) -> "CensoredHistogram":
        """Return one histogram of all values."""
        whole = cls()
        for tally in tallies:
            tally.settle()
            whole._buckets += tally._buckets
            if tally._open is not None:
                whole._open = tally._open if whole._open is None else whole._open + tally._open
            whole._count += tally._count
            whole._total += tally._total
            whole._most = max(whole._most, tally._most)
        return whole

    def __getstate__(self) -> tuple[object, ...]:
        self.settle()
        still = None if self._open is None else _packed(self._open)
        return _packed(self._buckets), still, self._count, self._total, self._most

    def __setstate__(self, state: tuple[_Packed, _Packed | None, int, float, float]) -> None:
        self.__init__()  # type: ignore[misc]  # a fresh one, then what was counted
        buckets, still, self._count, self._total, self._most = state
        self._buckets = _unpacked(buckets)
        self._open = None if still is None else _unpacked(still)


def _counted(values: Floats) -> Counts:
    """Return how many values each bucket has."""
    positive = values[values > 0]
    octaves = np.log2(np.maximum(positive, _SHORTEST_S) / _SHORTEST_S)
    places = np.minimum((octaves * _PER_OCTAVE).astype(np.int64), _BUCKETS - 1) + 1
    found = np.bincount(places, minlength=1 + _BUCKETS)
    found[0] = len(values) - len(positive)
    return found


def _packed(counts: Counts) -> _Packed:
    places = np.flatnonzero(counts)
    return places.tolist(), counts[places].tolist()


def _unpacked(packed: _Packed) -> Counts:
    places, counts = packed
    found = np.zeros(1 + _BUCKETS, dtype=np.int64)
    found[places] = counts
    return found


@cache
def _middles() -> Floats:
    """Return the middle of each bucket, by ratio. The first one is of zeros."""
    return np.concatenate([[0.0], _SHORTEST_S * np.exp2((np.arange(_BUCKETS) + 0.5) / _PER_OCTAVE)])


@cache
def _edges() -> Floats:
    """Return the upper edge of each bucket but that of zeros."""
    return np.asarray(_SHORTEST_S * np.exp2((np.arange(_BUCKETS) + 1) / _PER_OCTAVE))
