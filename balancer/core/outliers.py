"""Outlier tests: which endpoint fails so much that it stands out.

A test is a class whose hooks hear what calls came to; a new one is a class here, and a name in `TESTS`. A test must
know neither what becomes of an outlier, nor that most successes are counted without anybody looking:
`balancer.core.health` books them before it asks a test anything. Most pools are small, so two tests need no other
endpoint.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import ClassVar

from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["TESTS", "FailingMostly", "FailuresInRow", "FarBelowTheMean", "OutlierTest", "OwnRate"]

_BY_CHANCE = 3.0  # standard errors of a share that lie within chance


class OutlierTest:
    """A test; override the hooks that it needs. Each hook but `compare` is about one endpoint in service.

    What a test knows of an endpoint it keeps by its record, which is its own key.

    Attributes:
        timed: True for a test that must hear how long each success took: see `took`.
    """

    timed: ClassVar[bool] = False

    def begin(self, record: HealthRecord, now: float) -> None:
        """Know nothing of this endpoint from now on: it has joined, or comes back and starts afresh."""

    def leave(self, record: HealthRecord) -> None:
        """Forget this endpoint: it has gone."""

    def booked(self, record: HealthRecord, successes: int, now: float) -> None:
        """Learn of so many successes since this endpoint was last heard of; they are told late, but before all else."""

    def failed(self, record: HealthRecord, now: float) -> bool:
        """Learn of a failure; return whether this endpoint stands out."""
        return False

    def pinged(self, record: HealthRecord, ok: bool, now: float) -> bool:
        """Learn of a ping, which is no call; return whether this endpoint stands out."""
        return False

    def took(self, record: HealthRecord, elapsed_s: float, now: float) -> bool:
        """Learn how long a success took; return whether this endpoint stands out. For `timed` tests only.

        A lease costs more for every endpoint while there is such a test.
        """
        return False

    def why(self, record: HealthRecord) -> str:
        """Return in words what was measured of one that was just found to stand out."""
        return f"it stands out by {type(self).__name__}"

    def compare(self, records: Sequence[HealthRecord], now: float) -> Iterable[HealthRecord]:
        """Return those that stand out from the others; called every `interval_s`.

        `records` are those in service with calls since the last time (`good` and `bad` say how many), the worst first.
        """
        return ()


class FailuresInRow(OutlierTest):
    """So many failures with no success between: finds one that is dead at once.

    A failed ping counts in the row. A ping that is answered says little, as a server that fails every call may answer
    pings: it takes back the failed pings of the row, and no failed call.
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

    def booked(self, record: HealthRecord, successes: int, now: float) -> None:
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


class FarBelowTheMean(OutlierTest):
    """A success rate so many standard deviations below the mean of all, and by more than chance explains.

    Of gRFC A50, as `FailingMostly` is. Both compare endpoints over an interval, so they need many with many calls.
    """

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


TESTS: tuple[Callable[[HealthSettings], OutlierTest], ...] = (
    FailuresInRow,
    OwnRate,
    FarBelowTheMean,
    FailingMostly,
)
