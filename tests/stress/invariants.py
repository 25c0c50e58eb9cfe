"""Invariants of leases: what must never be in a pool, held against its events, and against the pool while it rests.

It keeps no more than the leases that are out and the limits that are in force.
"""

from collections import Counter
from collections.abc import Mapping

from balancer import AcquireTimeout, Lease, NoEndpoint, Pool
from balancer.core.events import Added, Drained, Ended, Event, Granted, LimitChanged, Removed
from tests.tasks.mixed import MOST

__all__ = ["LeaseEvents", "limits_of", "seen_at_rest"]

_MOST = 100  # that are told; the first ones say what there is to say


class LeaseEvents:
    """Hears the leases of a pool, and sees whether a slot is given twice or a lease ends twice.

    Args:
        limits: of the endpoints at the beginning, when nobody has a lease.
        most: slots that any endpoint ever has; this counts for one that was added, until its limit changes.

    Attributes:
        kinds: the events that it wants.
        granted: leases so far.
        violations: what must never be, in words.
    """

    kinds = frozenset({Granted, Ended, LimitChanged, Added, Drained, Removed})

    def __init__(self, limits: Mapping[str, int], most: int = MOST) -> None:
        self.granted = 0
        self.violations: list[str] = []
        self._limits, self._most = dict(limits), most
        self._out: dict[int, Granted] = {}
        self._slots: Counter[str] = Counter()
        self._last = 0

    def __call__(self, event: Event) -> None:
        """Hear the next event."""
        match event:
            case Granted():
                self._grant(event)
            case Ended():
                self._end(event)
            case LimitChanged():
                self._limits[event.endpoint] = event.limit
            case Added():
                self._limits[event.endpoint] = self._most
            case Drained() | Removed():
                self._limits[event.endpoint] = 0

    def at_rest(self) -> list[str]:
        """Return what was wrong so far, now that every lease should have ended."""
        return [*self.violations, *(f"lost: {granted} never ended" for granted in self._out.values())]

    def _grant(self, granted: Granted) -> None:
        name, limit = granted.endpoint, self._limits.get(granted.endpoint, 0)
        if granted.lease_id <= self._last:
            self._tell(f"given twice: {granted} comes after lease {self._last}")
        self._last = max(self._last, granted.lease_id)
        self._slots[name] += granted.slots
        if self._slots[name] > limit:
            self._tell(f"given twice: {self._slots[name]} slots of {name} are out, which has {limit}; {granted}")
        self._out[granted.lease_id] = granted
        self.granted += 1

    def _end(self, ended: Ended) -> None:
        granted = self._out.pop(ended.lease_id, None)
        if granted is None:
            self._tell(f"ended twice: {ended}")
        else:
            self._slots[granted.endpoint] -= granted.slots

    def _tell(self, words: str) -> None:
        if len(self.violations) < _MOST:
            self.violations.append(words)


def limits_of(pool: Pool) -> dict[str, int]:
    """Return how many slots of each endpoint may be out now."""
    return {each.name: each.limit for each in pool.stats().endpoints}


def seen_at_rest(pool: Pool) -> list[str]:
    """Return what is wrong with a pool of which nobody holds or awaits a lease: slots that are lost or leaked."""
    stats, waits = pool.stats(), pool.engine.waits
    found = [f"leaked: {row}" for row in pool.leases()]
    found += [f"leaked: {each.in_flight} slots of {each.name}" for each in stats.endpoints if each.in_flight]
    if stats.waiting or waits.places:
        found.append(f"lost: {stats.waiting} waiters, {len(waits.places)} places")
    leases: list[Lease] = []
    try:
        while True:
            before = _free(pool)
            try:
                leases.append(pool.acquire(0))
            except (AcquireTimeout, NoEndpoint):
                # A limit may change at any time, of an endpoint that comes back. Those were free all the time.
                if lost := before & _free(pool):
                    found.append(f"lost: free slots of {sorted(lost)} cannot be had")
                return found
    finally:
        for lease in leases:
            lease.release()


def _free(pool: Pool) -> set[str]:
    return {each.name for each in pool.stats().endpoints if each.in_flight < each.limit}
