"""The interface of an outlier test: hooks that hear what calls came to, and answer which endpoint stands out.

Decides the hooks. A test must know neither what becomes of an outlier, nor that most successes are counted without
anybody looking: `balancer.core.health` books them before it asks a test anything.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from balancer.core.states import HealthRecord

__all__ = ["OutlierTest"]


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
