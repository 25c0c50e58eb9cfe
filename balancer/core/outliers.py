"""Outlier tests: which endpoint fails so much that it stands out.

A test is a class with hooks that get the outcomes of calls. To add one, write a class here and add it to `TESTS`.
`balancer.core.health` ejects the outliers. It also counts most successes without a hook, and books them before it calls
a test. Most pools are small, so two tests need no other endpoint.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["TESTS", "FailingMostly", "FailuresInRow", "FarBelowTheMean", "OutlierTest", "OwnRate"]

_BY_CHANCE = 3.0  # a share within so many standard errors may be chance


class OutlierTest:
    """A test. Override the hooks that it needs. Each hook but `compare` is about one endpoint in service.

    A test keeps its data about an endpoint by the endpoint's record, which is hashable.

    Attributes:
        timed: True if the test needs the time of each success: see `took`.
    """

    timed: ClassVar[bool] = False

    def begin(self, record: HealthRecord, now: float) -> None:
        """Reset the data of this endpoint: it has joined, or starts again after an ejection."""

    def leave(self, record: HealthRecord) -> None:
        """Forget this endpoint: it has gone."""

    def booked(self, record: HealthRecord, successes: int, at_s: float) -> None:
        """Record successes, which count from `at_s`. They come late, but before any other hook."""

    def failed(self, record: HealthRecord, now: float) -> bool:
        """Record a failure. Return whether this endpoint stands out."""
        return False

    def pinged(self, record: HealthRecord, ok: bool, now: float) -> bool:
        """Record a ping, which is not a call. Return whether this endpoint stands out."""
        return False

    def took(self, record: HealthRecord, elapsed_s: float, now: float) -> bool:
        """Record how long a success took. Return whether this endpoint stands out. For `timed` tests only.

        With such a test, a lease of any endpoint costs more.
        """
        return False

    def why(self, record: HealthRecord) -> str:
        """Return in words what was measured of an endpoint that was just found."""
        return f"it stands out by {type(self).__name__}"

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return the endpoints that stand out from the others. Called every `interval_s`, if a call has failed.

        `records` are those in service with calls since the last comparison (`good` and `bad`), the worst first.
        """
        return ()


class FailuresInRow(OutlierTest):
    """So many failures in a row: finds a dead endpoint at once.

    A failed ping counts in the row. A good ping removes only the failed pings from the row, not the failed calls: a
    server that fails every call may still answer pings.
    """

    def __init__(self, settings: HealthSettings) -> None:
        self._most = settings.consecutive_failures
        self._calls: dict[HealthRecord, int] = {}
        self._pings: dict[HealthRecord, int] = {}

    def begin(self, record: HealthRecord, now: float) -> None:
        """Start with no row."""
        self.leave(record)

    def leave(self, record: HealthRecord) -> None:
        """Forget the row."""
        self._calls.pop(record, None)
        self._pings.pop(record, None)

    def booked(self, record: HealthRecord, successes: int, at_s: float) -> None:
        """End the row."""
        self.leave(record)

    def failed(self, record: HealthRecord, now: float) -> bool:
        """Count, and see whether the row is long enough."""
        self._calls[record] = self._calls.get(record, 0) + 1
        return self._stands_out(record)

    def pinged(self, record: HealthRecord, ok: bool, now: float) -> bool:
        """Count a failed ping; take back those before a good one."""
        if ok:
            self._pings.pop(record, None)
            return False
        self._pings[record] = self._pings.get(record, 0) + 1
        return self._stands_out(record)

    def why(self, record: HealthRecord) -> str:
        """Return how long the row is."""
        calls, pings = self._calls.get(record, 0), self._pings.get(record, 0)
        told = [f"{calls} failures" if calls != 1 else "1 failure"] if calls else []
        told += [f"{pings} failed ping{'s' * (pings > 1)}"] if pings else []
        return f"{' and '.join(told)} in a row"

    def _stands_out(self, record: HealthRecord) -> bool:
        return 0 < self._most <= self._calls.get(record, 0) + self._pings.get(record, 0)


@dataclass(slots=True)
class _Counts:
    """Outcomes, of which each counts 37% after `decay_s`."""

    since_s: float
    successes: float = 0.0
    failures: float = 0.0


class OwnRate(OutlierTest):
    """A success rate below the minimum, once there are enough outcomes."""

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

    def booked(self, record: HealthRecord, successes: int, at_s: float) -> None:
        """Count successes. They are a little old, so each counts a little too much."""
        counts = self._counts[record]
        self._fade(counts, at_s)
        counts.successes += successes

    def failed(self, record: HealthRecord, now: float) -> bool:
        """Count a failure, and test the rate."""
        counts = self._counts[record]
        self._fade(counts, now)
        counts.failures += 1.0
        seen = counts.successes + counts.failures
        return seen >= self._volume and counts.successes < self._least * seen

    def why(self, record: HealthRecord) -> str:
        """Return the rate and the minimum."""
        counts = self._counts[record]
        rate = counts.successes / (counts.successes + counts.failures)
        return f"{rate:.0%} of its latest calls succeeded, less than {self._least:.0%}"

    def _fade(self, counts: _Counts, now: float) -> None:
        if now > counts.since_s:
            fade = math.exp((counts.since_s - now) / self._decay_s)
            counts.successes *= fade
            counts.failures *= fade
            counts.since_s = now


class _Comparison(OutlierTest):
    """A test that compares endpoints over an interval, so it needs many endpoints with many calls. From gRFC A50."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._said: dict[HealthRecord, str] = {}  # for the endpoints found the last time

    def why(self, record: HealthRecord) -> str:
        """Return what was measured when it was found."""
        return self._said[record]


class FarBelowTheMean(_Comparison):
    """A success rate so many standard deviations below the mean of all, and by more than chance explains."""

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return those below the mean by too much."""
        settings = self._settings
        known = [record for record in records if record.calls >= settings.rate_volume]
        if len(known) < settings.min_hosts or not settings.rate_sds:
            return []
        rates = [record.success_rate for record in known]
        mean = math.fsum(rates) / len(rates)  # `statistics` would be slow to import
        bar = mean - settings.rate_sds * math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates) / len(rates))
        # One of five that is only a little below four equal ones is 2 standard deviations off. So chance must be
        # excluded too.
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


class FailingMostly(_Comparison):
    """A share of failures above the maximum."""

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return those above the maximum."""
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


def _of(record: HealthRecord, share: float) -> str:
    return f"{share:.0%} of its last {record.calls} calls"


TESTS: tuple[Callable[[HealthSettings], OutlierTest], ...] = (
    FailuresInRow,
    OwnRate,
    FarBelowTheMean,
    FailingMostly,
)
