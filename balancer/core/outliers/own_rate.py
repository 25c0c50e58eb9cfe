"""Outlier test by an endpoint's own success rate, decayed: it needs no other endpoint."""

import math
from dataclasses import dataclass

from balancer.core.outliers.base import OutlierTest
from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["OwnRate"]


@dataclass(slots=True)
class _Counts:
    """Outcomes, of which each counts 37% after `decay_s`."""

    since_s: float
    successes: float = 0.0
    failures: float = 0.0


class OwnRate(OutlierTest):
    """A success rate below the one that is asked for, once there are outcomes enough."""

    def __init__(self, settings: HealthSettings) -> None:
        self._least = settings.success_rate
        self._volume = settings.success_volume
        self._decay_s = settings.decay_s
        self._counts: dict[HealthRecord, _Counts] = {}

    def begin(self, record: HealthRecord, now: float) -> None:
        """Start with no outcomes."""
        self._counts[record] = _Counts(now)

    def leave(self, record: HealthRecord) -> None:
        """Forget the outcomes."""
        del self._counts[record]

    def booked(self, record: HealthRecord, successes: int, now: float) -> None:
        """Count successes. They are some moments old, so each counts a little too much."""
        self._faded(record, now).successes += successes

    def failed(self, record: HealthRecord, now: float) -> bool:
        """Count a failure, and look at the rate."""
        counts = self._faded(record, now)
        counts.failures += 1.0
        seen = counts.successes + counts.failures
        return seen >= self._volume and counts.successes < self._least * seen

    def why(self, record: HealthRecord) -> str:
        """Return the rate, and the one that is asked for."""
        counts = self._counts[record]
        rate = counts.successes / (counts.successes + counts.failures)
        return f"{rate:.0%} of its latest calls succeeded, less than {self._least:.0%}"

    def _faded(self, record: HealthRecord, now: float) -> _Counts:
        counts = self._counts[record]
        if now > counts.since_s:
            fade = math.exp((counts.since_s - now) / self._decay_s)
            counts.successes *= fade
            counts.failures *= fade
            counts.since_s = now
        return counts
