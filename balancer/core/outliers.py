"""Outlier tests: which endpoint fails so much that it stands out.

There are two: failures in a row, and the endpoint's own success rate. Most pools are small, so neither compares
endpoints. `balancer.core.health` ejects the outliers. It books the successes, which it only counts at first, before it
reports a failure.
"""

import math

from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings

__all__ = ["OutlierTests"]


class OutlierTests:
    """The tests of one pool. Their data about an endpoint is in its record."""

    def __init__(self, settings: HealthSettings) -> None:
        self._most = settings.consecutive_failures
        self._least = settings.success_rate
        self._volume = settings.success_volume
        self._decay_s = settings.decay_s

    def begin(self, record: HealthRecord, now: float) -> None:
        """Reset the data of an endpoint that has joined, or starts again after an ejection."""
        record.failed_calls = record.failed_pings = 0
        record.good = record.bad = 0.0
        record.faded_s = now

    def booked(self, record: HealthRecord, successes: int, at_s: float) -> None:
        """Count successes, and end the row. They are a little old, so each counts a little too much."""
        record.failed_calls = record.failed_pings = 0
        self._fade(record, at_s)
        record.good += successes

    def failed(self, record: HealthRecord, now: float) -> str:
        """Count a failed call. Return in words why its endpoint stands out; "": it does not."""
        record.failed_calls += 1
        self._fade(record, now)
        record.bad += 1.0
        seen = record.good + record.bad
        if row := self._row(record):
            return row
        if seen < self._volume or record.good >= self._least * seen:
            return ""
        return f"{record.good / seen:.0%} of its latest calls succeeded, less than {self._least:.0%}"

    def pinged(self, record: HealthRecord, ok: bool) -> str:
        """Count a failed ping in the row. Return in words why its endpoint stands out; "": it does not.

        A good ping removes only the failed pings from the row, not the failed calls: a server that fails every call may
        still answer pings.
        """
        record.failed_pings = 0 if ok else record.failed_pings + 1
        return "" if ok else self._row(record)

    def _row(self, record: HealthRecord) -> str:
        calls, pings = record.failed_calls, record.failed_pings
        if not 0 < self._most <= calls + pings:
            return ""
        told = [f"{calls} failures" if calls != 1 else "1 failure"] if calls else []
        told += [f"{pings} failed ping{'s' * (pings > 1)}"] if pings else []
        return f"{' and '.join(told)} in a row"

    def _fade(self, record: HealthRecord, now: float) -> None:
        """Let each outcome count 37% after `decay_s`."""
        if now > record.faded_s:
            fade = math.exp((record.faded_s - now) / self._decay_s)
            record.good *= fade
            record.bad *= fade
            record.faded_s = now
