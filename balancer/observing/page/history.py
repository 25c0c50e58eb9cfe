"""What the server of the live page remembers: an hour of the pool, and the details of endpoints that are looked at.

A point of the history costs one reading of the counters, and a few bytes for each endpoint, every ten seconds. How long
leases are held is only measured while a reader looks at one endpoint.
"""

import math
import threading
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Any, Final

from balancer.core.events import Ended
from balancer.core.metrics import EndpointStats, WaitHistogram, WaitStats
from balancer.core.readings import Snapshot
from balancer.observing import WatchedPool
from balancer.values.redaction import ShownNames

__all__ = ["EVERY_S", "Drawers", "PageHistory", "mark_and_word", "standing"]

EVERY_S: Final = 10.0
_KEPT: Final = 360  # points: an hour
_MOST_ENDPOINTS: Final = 2000  # of more endpoints only the sums are kept
_OF_POOL: Final = ("waiting", "acquired", "failures", "overloads", "calls")
_LETTERS: Final = {"drained": "d", "bad": "x", "trial": "t"}
_UNREAD: Final = 3  # beats without a look, after which leases are not timed any more
_SHOWN: Final = 20  # errors


def mark_and_word(each: EndpointStats) -> tuple[str, str]:
    """Return how an endpoint stands: "ok", "trial", "bad" (out of service), "drained" or "none"; and in a word."""
    if each.state != "active":
        return "drained", each.state
    if each.health in ("ejected", "spent"):
        return "bad", each.health
    if each.health == "half_open":
        return "trial", "on trial"
    if each.health == "resting" or each.spared:
        return "trial", "would be ejected" if each.spared else "resting"
    return ("ok", each.health.replace("_", " ")) if each.health else ("none", "not watched")


def standing(each: EndpointStats) -> str:
    """Return an endpoint as one letter: how it stands, or 0 to 9, the part of its slots in use, in ninths."""
    slots = each.limit or each.capacity
    return _LETTERS.get(mark_and_word(each)[0]) or str(min(9, math.ceil(9 * each.in_flight / slots)))


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
        self._marks: deque[tuple[WaitHistogram, int]] = deque(maxlen=2)  # waits and grants at the last two points
        self._turn = threading.Lock()

    def take(self, seen: Snapshot, rows: Mapping[str, str]) -> None:
        """Add a point.

        Args:
            seen: the pool now.
            rows: the row of each endpoint, by its name.
        """
        with self._turn:
            self._points.append(self._point(seen))
            self._marks.append((seen.waits, seen.stats.acquired))
            if len(seen.stats.endpoints) > _MOST_ENDPOINTS:
                self._ends.clear()
                return
            known = {rows[each.name]: each for each in seen.stats.endpoints}
            for gone in self._ends.keys() - known.keys():
                del self._ends[gone]
            for row, each in known.items():
                past = self._ends.get(row) or self._ends.setdefault(row, _Past(each.leases))
                past.leases.append(max(0, each.leases - past.before))
                past.before = each.leases
                past.stood = (past.stood + standing(each))[-_KEPT:]
                del past.leases[:-_KEPT]

    def recent(self, seen: Snapshot, point: int = 0) -> WaitStats:
        """Return the waits of leases granted since the last point but one, so 10 to 20 seconds ago; -1: the last."""
        waits, granted = self._marks[point] if self._marks else (seen.waits, seen.stats.acquired)
        return seen.waits.since(waits).summary(seen.stats.acquired - granted)

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
        stats, fresh = seen.stats, self.recent(seen, -1)
        return {
            "at": round(seen.at_s, 1),
            "used": sum(each.in_flight for each in stats.endpoints),
            "force": sum(each.limit for each in stats.endpoints),
            **{name: getattr(stats, name) for name in _OF_POOL},
            "p50": float(f"{fresh.p50:.3g}"),
            "p99": float(f"{fresh.p99:.3g}"),
        }


class Drawers:
    """Tells the details of endpoints: how long their leases are held, and their last errors.

    Args:
        pool: the pool.
        names: its secrets.
    """

    def __init__(self, pool: WatchedPool, names: ShownNames) -> None:
        self._pool = pool
        self._names = names
        self._turn = threading.Lock()
        self._holds = defaultdict[str, WaitHistogram](WaitHistogram)
        self._counts = Counter[str]()
        self._since_s = 0.0
        self._unread = 0
        self._observation: Any = None

    def look(self, name: str) -> dict[str, Any]:
        """Return the details of the endpoint of this name, ready for JSON, and time leases from now on.

        `held`: how many leases have ended since `since_s`, and quantiles of how long they were held. `kinds`: the last
        errors, counted by kind and status. `errors`: the newest of them.

        Raises:
            UnknownEndpoint: it has gone.
        """
        errors = [(each, self._names.without_secrets(each.said)) for each in self._pool.last_errors(name)]
        with self._turn:
            self._unread = 0
            if self._observation is None:
                self._holds.clear()
                self._counts.clear()
                self._since_s = self._pool.clock()
                self._observation = self._pool.observe(self._ended, kinds={Ended})
            ended = self._counts[name]
            held = self._holds[name].summary(ended)
        times = {f"{part}_s": float(f"{getattr(held, part):.3g}") for part in ("p50", "p99", "max")}
        kinds = Counter((each.outcome, said.partition(":")[0]) for each, said in errors)
        return {
            "held": {"ended": ended, "since_s": round(self._since_s, 1), **times},
            "kinds": [{"outcome": outcome, "kind": kind, "times": n} for (outcome, kind), n in kinds.most_common()],
            "errors": [
                {"at_s": round(each.at_s, 1), "outcome": each.outcome, "said": said}
                for each, said in errors[: -_SHOWN - 1 : -1]
            ],
        }

    def beat(self) -> None:
        """Stop timing leases if nobody has looked for three beats."""
        with self._turn:
            self._unread += 1
            ended = self._observation if self._unread > _UNREAD else None
            if ended is not None:
                self._observation = None
        if ended is not None:
            ended.end()

    def close(self) -> None:
        """Stop timing leases."""
        self._unread = _UNREAD
        self.beat()

    def _ended(self, event: Ended) -> None:
        self._holds[event.endpoint].add(event.held_s)
        self._counts[event.endpoint] += 1
