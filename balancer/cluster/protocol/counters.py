"""Counters of a member's own leases, for `Pool.stats`.

Decides nothing. What all processes do together, the coordinator's core counts.
"""

from bisect import bisect_left
from collections.abc import Iterable

from balancer.core.metrics import EndpointStats, WaitHistogram
from balancer.core.timing import BOUNDS_S, Buckets, CountedWaits, LeaseTimes, counts_of_none
from balancer.endpoint import Endpoint, Lease, Outcome

__all__ = ["MemberCounters"]


class _Row:
    """The leases of one endpoint."""

    __slots__ = ("busy_s", "failures", "held_s", "holds", "ignored", "leases", "overloads", "successes")

    def __init__(self) -> None:
        self.leases = self.successes = self.failures = self.overloads = self.ignored = 0
        self.busy_s = self.held_s = 0.0
        self.holds = counts_of_none()


class MemberCounters:
    """Counters of one process.

    Attributes:
        granted, calls, timed_out, retries, hedges: so many so far; calls are leases whose end says something.
        waits: how long those waited that had to.
    """

    def __init__(self) -> None:
        self.granted = self.calls = self.timed_out = self.retries = self.hedges = 0
        self.waits = CountedWaits(WaitHistogram(), 0)
        self._rows: dict[str, _Row] = {}

    def begun(self, lease: Lease, waited_s: float) -> None:
        """Count a grant."""
        self.granted += 1
        self.waits.add(waited_s)
        self._row(lease.endpoint.name).leases += 1

    def ended(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Count an end."""
        row = self._row(lease.endpoint.name)
        held_s = now - lease.granted_s
        row.busy_s += held_s * lease.slots
        row.held_s += held_s
        row.holds[bisect_left(BOUNDS_S, held_s)] += 1
        self.calls += outcome is not Outcome.IGNORED
        row.ignored += outcome is Outcome.IGNORED
        row.successes += outcome is Outcome.SUCCESS
        row.failures += outcome is Outcome.FAILURE
        row.overloads += outcome is Outcome.OVERLOAD

    def times(self, endpoints: Iterable[Endpoint]) -> LeaseTimes:
        """Return how long leases were waited for and held, from the beginning."""
        rows = {endpoint.name: self._row(endpoint.name) for endpoint in endpoints}
        holds = {name: Buckets(tuple(row.holds), row.held_s) for name, row in rows.items()}
        return LeaseTimes(self.waits.counted(self.granted), holds)

    def totals(self, waiting: int) -> dict[str, int]:
        """Return what `PoolStats.of` takes by name."""
        return {
            "acquired": self.granted,
            "timed_out": self.timed_out,
            "waiting": waiting,
            "calls": self.calls,
            "failures": sum(row.failures for row in self._rows.values()),
            "overloads": sum(row.overloads for row in self._rows.values()),
            "retries": self.retries,
            "hedges": self.hedges,
        }

    def rows(
        self, endpoints: Iterable[Endpoint], out: Iterable[Lease], out_of_service: frozenset[str], now: float
    ) -> list[EndpointStats]:
        """Return a row for each endpoint: what this process has and had of it."""
        held: dict[str, list[Lease]] = {}
        for lease in out:
            held.setdefault(lease.endpoint.name, []).append(lease)
        total = sum(row.leases for row in self._rows.values()) or 1
        found = []
        for endpoint in endpoints:
            row, mine = self._row(endpoint.name), held.get(endpoint.name, ())
            found.append(
                EndpointStats(
                    url=endpoint.url,
                    name=endpoint.name,
                    state="active",
                    in_flight=sum(lease.slots for lease in mine),
                    limit=0 if endpoint.name in out_of_service else endpoint.capacity,
                    leases=row.leases,
                    failures=row.failures,
                    share=row.leases / total,
                    busy_s=row.busy_s + sum((now - lease.granted_s) * lease.slots for lease in mine),
                    overloads=row.overloads,
                    successes=row.successes,
                    ignored=row.ignored,
                    capacity=endpoint.capacity,
                    weight=endpoint.weight,
                )
            )
        return found

    def _row(self, name: str) -> _Row:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row()
        return row
