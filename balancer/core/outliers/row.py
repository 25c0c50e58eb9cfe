"""Outlier test by consecutive failures: it needs no other endpoint, and finds one that is dead at once."""

from balancer.core.outliers.base import OutlierTest
from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["FailuresInRow"]


class FailuresInRow(OutlierTest):
    """So many failures with no success between.

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
