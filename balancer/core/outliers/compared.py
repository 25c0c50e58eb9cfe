"""Outlier tests of gRFC A50, which compare the endpoints with one another over an interval.

They need many endpoints with many calls. With fewer they find nobody.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

from balancer.core.outliers.base import OutlierTest
from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["FailingMostly", "FarBelowTheMean"]

_BY_CHANCE = 3.0  # standard errors of a share that lie within chance


class FarBelowTheMean(OutlierTest):
    """A success rate so many standard deviations below the mean of all, and by more than chance explains."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._said: dict[HealthRecord, str] = {}  # of those found the last time

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return those below the bar."""
        settings = self._settings
        known = [record for record in records if record.calls >= settings.rate_volume]
        if len(known) < settings.min_hosts or not settings.rate_sds:
            return []
        rates = [record.success_rate for record in known]
        mean = fmean(rates)
        bar = mean - settings.rate_sds * pstdev(rates)
        # Of five, one that is a hair below four equal ones is 2 standard deviations off: rule out chance as well.
        chance = mean * (1.0 - mean)
        found = [
            record
            for record, rate in zip(known, rates, strict=True)
            if rate < bar and mean - rate > _BY_CHANCE * math.sqrt(chance / record.calls)
        ]
        self._said = {
            record: f"{_of(record, record.success_rate)} succeeded, the mean is {mean:.0%}" for record in found
        }
        return found

    def why(self, record: HealthRecord) -> str:
        """Return its rate, and the mean."""
        return self._said[record]


class FailingMostly(OutlierTest):
    """A share of failures above the one that is borne."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._said: dict[HealthRecord, str] = {}  # of those found the last time

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return those above the share."""
        settings = self._settings
        known = [record for record in records if record.calls >= settings.failure_volume]
        if len(known) < settings.min_hosts:
            return []
        found = [record for record in known if 1.0 - record.success_rate > settings.failure_share]
        self._said = {
            record: f"{_of(record, 1.0 - record.success_rate)} failed, more than {settings.failure_share:.0%}"
            for record in found
        }
        return found

    def why(self, record: HealthRecord) -> str:
        """Return its share, and the one that is borne."""
        return self._said[record]


def _of(record: HealthRecord, share: float) -> str:
    return f"{share:.0%} of its last {record.calls} calls"
