"""Time-left estimate of a piece of work, from how much of it is done.

Decides when there is enough to go by, and how fast the estimate may change its mind. Pure: time arrives as `now_s`.
It must not know what the work is, nor how the estimate is shown.
"""

import math
from dataclasses import dataclass
from typing import Final

from balancer.reporting.words import seconds

__all__ = ["TimeLeft"]

_BASIS_S: Final = 5.0  # a start says little: processes are made, programs compiled
_LEAST_DONE: Final = 2
_BASIS_SHARE: Final = 0.05  # of the units, but no more than
_ENOUGH_DONE: Final = 100
_SMOOTHED_OVER_S: Final = 15.0
_TURN_S: Final = 10.0  # in so long the estimate at most doubles or halves, beside what the clock takes from it
_LEAST_S: Final = 1.0


@dataclass(slots=True)
class TimeLeft:
    """The estimate of one piece of work: the mean time of what is done, times what is left, smoothed.

    Attributes:
        estimate_s: as of the last look; None while there is nothing to go by.
    """

    estimate_s: float | None = None
    _looked_s: float = 0.0

    def look(self, spent_s: float, done: int, left: int) -> None:
        """Take in that `done` units took `spent_s` seconds since the beginning, and that `left` are to be done."""
        if self.estimate_s is None:
            enough = max(_LEAST_DONE, min(_ENOUGH_DONE, _BASIS_SHARE * (done + left)))
            if spent_s < _BASIS_S or done < enough:
                return
            self.estimate_s = spent_s / done * left
        else:
            self.estimate_s = self._nearer(spent_s / done * left, spent_s - self._looked_s) if left else 0.0
        self._looked_s = spent_s

    def _nearer(self, found_s: float, passed_s: float) -> float:
        """Return the last estimate, `passed_s` later, moved towards `found_s` by a part of the way."""
        expected_s = max(_LEAST_S, (self.estimate_s or 0.0) - passed_s)
        way = math.log(max(_LEAST_S, found_s) / expected_s) * -math.expm1(-passed_s / _SMOOTHED_OVER_S)
        most = math.log(2.0) * min(1.0, passed_s / _TURN_S)
        return expected_s * math.exp(max(-most, min(most, way)))

    def words(self, *, all_seen: bool = True) -> str:
        """Return "about 3 min 20 s left".

        Args:
            all_seen: False if some kind of work was not met so far and may take longer: then it is "at least".
        """
        if self.estimate_s is None:
            return "time left not known yet"
        if self.estimate_s < _LEAST_S:
            return "nearly done"
        return f"{'about' if all_seen else 'at least'} {seconds(_rounded(self.estimate_s))} left"


def _rounded(value_s: float) -> float:
    """Return whole seconds, of more than a minute two digits: an estimate is no better than that."""
    step = 1 if value_s < 20 else 5 if value_s < 120 else 10 if value_s < 600 else 60
    return float(round(value_s / step) * step)
