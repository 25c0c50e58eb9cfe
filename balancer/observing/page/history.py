"""History of the live page: an hour of a pool, a point in ten seconds, kept by its server.

A reader gets it once, and then adds what it sees. A point costs one reading of the counters, and a few bytes for each
endpoint.
"""

import math
import threading
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from balancer.core.metrics import EndpointStats, WaitHistogram, WaitStats
from balancer.core.readings import Snapshot

__all__ = ["EVERY_S", "FreshWaits", "PageHistory", "standing"]

EVERY_S: Final = 10.0
_KEPT: Final = 360  # points: an hour
_MOST_ENDPOINTS: Final = 2000  # of more endpoints only the sums are kept
_OF_POOL: Final = ("waiting", "acquired", "failures", "overloads", "calls")
_OUT: Final = {"ejected": "x", "spent": "x", "half_open": "t", "resting": "t"}


def standing(each: EndpointStats) -> str:
    """Return an endpoint as one letter.

    d: it drains. x: it is out of service. t: it rests, or is on trial. 0 to 9: the part of its slots in use, in ninths.
    """
    if each.state != "active":
        return "d"
    slots = each.limit or each.capacity
    return _OUT.get(each.health) or str(min(9, math.ceil(9 * each.in_flight / slots)))


class FreshWaits:
    """The waits of leases that were granted since the last look."""

    def __init__(self) -> None:
        self._before: tuple[WaitHistogram, int] | None = None

    def of(self, seen: Snapshot, *, still: bool = False) -> WaitStats:
        """Return them. The next ones begin now, unless `still`."""
        granted = seen.stats.acquired
        waits, before = self._before or (seen.waits, granted)
        if not still:
            self._before = seen.waits, granted
        return seen.waits.since(waits).summary(granted - before)


class _Past:
    """One endpoint over time; the last entry is of the last point."""

    __slots__ = ("before", "leases", "stood")

    def __init__(self, leases: int) -> None:
        self.before = leases
        self.leases = array("L")  # granted since the point before
        self.stood = ""


class PageHistory:
    """Keeps the points of the last hour. Thread-safe."""

    def __init__(self) -> None:
        self._points: deque[dict[str, float]] = deque(maxlen=_KEPT)
        self._ends: dict[str, _Past] = {}
        self._fresh = FreshWaits()
        self._turn = threading.Lock()

    def take(self, seen: Snapshot, rows: Mapping[str, str]) -> None:
        """Add a point.

        Args:
            seen: the pool now.
            rows: the row of each endpoint, by its name.
        """
        with self._turn:
            self._points.append(self._point(seen))
            if len(seen.stats.endpoints) > _MOST_ENDPOINTS:
                self._ends.clear()
                return
            known = {rows[each.name]: each for each in seen.stats.endpoints if each.name in rows}
            for gone in self._ends.keys() - known.keys():
                del self._ends[gone]
            for row, each in known.items():
                past = self._ends.get(row) or self._ends.setdefault(row, _Past(each.leases))
                past.leases.append(max(0, each.leases - past.before))
                past.before = each.leases
                past.stood = (past.stood + standing(each))[-_KEPT:]
                del past.leases[:-_KEPT]

    def told(self) -> dict[str, Any]:
        """Return all, ready for JSON.

        `points` has the figures of the pool, oldest first. `endpoints` has, by row, `stood` (a letter a point, see
        `standing`) and `leases` (granted since the point before), and `total`
        (granted so far, at the last point). The last letter and number are of the last point.
        """
        with self._turn:
            ends = {
                row: {"stood": past.stood, "leases": list(past.leases), "total": past.before}
                for row, past in self._ends.items()
            }
            return {"every_s": EVERY_S, "points": list(self._points), "endpoints": ends}

    def _point(self, seen: Snapshot) -> dict[str, float]:
        stats = seen.stats
        fresh = self._fresh.of(seen)
        return {
            "at": round(seen.at_s, 1),
            "used": sum(each.in_flight for each in stats.endpoints),
            "force": sum(each.limit for each in stats.endpoints),
            **{name: getattr(stats, name) for name in _OF_POOL},
            "p50": float(f"{fresh.p50:.3g}"),
            "p99": float(f"{fresh.p99:.3g}"),
        }
