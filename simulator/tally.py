"""How a quantity was distributed, in constant memory.

Decides how quantiles are told from counts: in buckets 2.2% wide, evenly filled, so a quantile is within 2.2% of the
truth and mostly much nearer; mean and most are exact. It must not know what is counted.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from simulator.distributions import Floats

__all__ = ["Tally"]

_PER_OCTAVE: Final = 32  # 2**(1/32) - 1 = 2.2% from one edge of a bucket to the other
_SHORTEST_S: Final = 2.0**-40  # what is shorter counts as this, 1e-12 s; 0 is counted apart
_BUCKETS: Final = 80 * _PER_OCTAVE  # up to 2**40 s


class Tally:
    """Counts values >= 0. `add` costs an append; the memory is that of a block and the buckets."""

    __slots__ = ("_block", "_buckets", "_count", "_most", "_total", "_zeros", "add")

    def __init__(self) -> None:
        self._block: list[float] = []
        self._buckets = np.zeros(_BUCKETS, dtype=np.int64)
        self._zeros = 0
        self._count = 0
        self._total = 0.0
        self._most = 0.0
        self.add = self._block.append
        """Count one value; call `settle` now and then, or the block grows."""

    def settle(self) -> None:
        """Count what was added since the last time."""
        if self._block:
            values = np.array(self._block)
            self._block.clear()
            self._count += len(values)
            self._total += math.fsum(values)
            self._most = max(self._most, float(values.max()))
            positive = values[values > 0]
            self._zeros += len(values) - len(positive)
            octaves = np.log2(np.maximum(positive, _SHORTEST_S) / _SHORTEST_S)
            places = np.minimum((octaves * _PER_OCTAVE).astype(np.int64), _BUCKETS - 1)
            self._buckets += np.bincount(places, minlength=_BUCKETS)

    @property
    def count(self) -> int:
        """How many there were."""
        self.settle()
        return self._count

    @property
    def mean(self) -> float:
        """Their mean; 0 if there were none."""
        return self._total / self._count if self.count else 0.0

    @property
    def most(self) -> float:
        """The largest; 0 if there were none."""
        self.settle()
        return self._most

    def quantile(self, q: float) -> float:
        """Return the value that a part `q` (0..1) of all do not exceed, to 2.2%; 0 if there were none."""
        rank = math.ceil(q * self.count)
        if rank <= self._zeros:
            return 0.0
        below = np.cumsum(self._buckets)
        place = int(np.searchsorted(below, rank - self._zeros))
        inside = int(self._buckets[place])
        part = (rank - self._zeros - (int(below[place]) - inside) - 0.5) / inside  # how far into the bucket, by rank
        return min(self._most, float(_SHORTEST_S * 2.0 ** ((place + part) / _PER_OCTAVE)))

    def tail(self) -> tuple[Floats, Floats]:
        """Return values in ascending order, and the part of all that is larger than each: the tail of the CDF."""
        count = self.count
        places = np.flatnonzero(self._buckets)
        larger = count - self._zeros - np.cumsum(self._buckets)[places]
        values = np.concatenate([[0.0], _edges()[places]])
        return values, np.concatenate([[count - self._zeros], larger]) / max(1, count)

    @classmethod
    def merged(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Return a tally of all values together."""
        whole = cls()
        for tally in tallies:
            tally.settle()
            whole._buckets += tally._buckets
            whole._zeros += tally._zeros
            whole._count += tally._count
            whole._total += tally._total
            whole._most = max(whole._most, tally._most)
        return whole

    def __getstate__(self) -> tuple[object, ...]:
        self.settle()
        places = np.flatnonzero(self._buckets)
        counts = self._buckets[places]
        return places.tolist(), counts.tolist(), self._zeros, self._count, self._total, self._most

    def __setstate__(self, state: tuple[list[int], list[int], int, int, float, float]) -> None:
        self.__init__()  # type: ignore[misc]  # a fresh one, then what was counted
        places, counts, self._zeros, self._count, self._total, self._most = state
        self._buckets[places] = counts


def _edges() -> Floats:
    """Return the upper edge of each bucket."""
    return np.asarray(_SHORTEST_S * np.exp2((np.arange(_BUCKETS) + 1) / _PER_OCTAVE))
