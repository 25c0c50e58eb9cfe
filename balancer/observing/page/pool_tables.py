"""The live page's tables: a pool at one instant, rounded, and without secrets.

All data of the pool is of one instant. Names of endpoints and holders have neither user nor query; headers and keys are
not shown.

Changes between two versions of the tables go to readers column by column. For a table of 64 rows in which three columns
change, that is a few hundred bytes. The page's script and `balancer top` read the same form.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from balancer.core.events import (
    Added,
    Drained,
    Ejected,
    Event,
    Panic,
    Probing,
    Removed,
    Rested,
    Restored,
    Spent,
    StrategyChanged,
)
from balancer.core.metrics import LeaseRow, WaitHistogram, WaitStats
from balancer.core.readings import Snapshot
from balancer.endpoint import Lease
from balancer.shells.logs import RestLines, until_back
from balancer.values.redaction import ShownNames

__all__ = [
    "HasSnapshot",
    "ListMembers",
    "MemberLeases",
    "PoolTables",
    "RecentEvents",
    "Tables",
    "apply",
    "changes",
    "holder_rows",
    "member_rows",
    "rows_as_lists",
]

Tables = dict[str, dict[str, dict[str, Any]]]
_KEPT: Final = 100  # lines of recent events
_MOST_HOLDERS: Final = 100
_NOBODY: Final = "(not named)"
_SAID: Final[dict[type[Event], str]] = {
    Added: "in service",
    Drained: "drained",
    Removed: "removed",
    Ejected: "ejected",
    Probing: "on trial",
    Rested: "asked for a rest",  # `RestLines` says it
    Restored: "back in service",
    Spent: "its account has no quota left",
}

Extra = Callable[[], Tables]


"""Rows by table and id, in order of arrival. A row has its values by column. All is ready for JSON."""


def changes(before: Tables, after: Tables) -> dict[str, Any]:
    """Return the changes from `before` to `after`.

    For each table these are `set`, by column [row, value, ...], and the rows `gone`.

    Unchanged tables and rows are left out. The columns of a row never change.
    """
    found = {}
    for table in {**before, **after}:
        old, new = before.get(table, {}), after.get(table, {})
        columns: dict[str, list[Any]] = {}
        for row, values in new.items():
            known = old.get(row, {})
            for column, value in values.items():
                if column not in known or known[column] != value:
                    columns.setdefault(column, []).extend((row, value))
        told: dict[str, Any] = {"set": columns} if columns else {}
        if gone := [row for row in old if row not in new]:
            told["gone"] = gone
        if told:
            found[table] = told
    return found


def apply(tables: Tables, told: Mapping[str, Any]) -> None:
    """Apply the result of `changes` to `tables`."""
    for table, news in told.items():
        rows = tables.setdefault(table, {})
        for column, pairs in news.get("set", {}).items():
            for row, value in zip(pairs[::2], pairs[1::2], strict=True):
                rows.setdefault(row, {})[column] = value
        for row in news.get("gone", ()):
            rows.pop(row, None)


class MemberLeases(NamedTuple):
    """The leases of one process, in a pool that several share."""

    name: str
    leases: Sequence[Lease]
    waiting: int


ListMembers = Callable[[], Sequence[MemberLeases]]


class HasSnapshot(Protocol):
    """A pool that can be shown."""

    def snapshot(self, *, leases: bool = False, also: Callable[[], object] | None = None) -> Snapshot:
        """Return the pool at one instant."""
        ...


class RecentEvents:
    """An observer that keeps the latest events of endpoints.

    Args:
        names: the shown names of endpoints.
    """

    kinds = frozenset({*_SAID, Panic, StrategyChanged})

    def __init__(self, names: ShownNames) -> None:
        self._names = names
        self._count = 0
        self._lines: deque[tuple[int, float, str, str]] = deque(maxlen=_KEPT)
        self._rests = RestLines()

    def __call__(self, event: Event, /) -> None:
        """Keep a line about `event`."""
        said: str | None
        if isinstance(event, Panic):
            where, said = "", "panic: too few endpoints are fit, so all serve" if event.on else "the panic is over"
        elif isinstance(event, StrategyChanged):
            where, said = "", f"the strategy is now {event.strategy}"
        else:
            where, said = self._names(getattr(event, "endpoint", "")), _SAID[type(event)]
            if isinstance(event, Rested):
                said = self._rests.line(event)
            elif isinstance(event, Ejected | Restored) and self._rests.ends_unsaid(event):
                said = None
            elif isinstance(event, Ejected) and event.why:
                said = f"{said}: {self._names.without_secrets(event.why)}{until_back(event.for_s)}"
        if said is None:
            return
        self._count += 1
        self._lines.append((self._count, event.at_s, where, said))

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the lines, oldest first."""
        return {
            str(number): {"at_s": round(at_s, 2), "endpoint": where, "said": said}
            for number, at_s, where, said in self._lines.copy()
        }


class PoolTables:
    """Makes tables of a pool. Thread-safe.

    Args:
        pool: the pool.
        names: the shown names of its endpoints.
        news: its recent events.
        holders: returns who has which leases; called under the pool's lock. None: the `holder` of each lease says it.
        extra: returns further tables.
    """

    def __init__(
        self,
        pool: HasSnapshot,
        names: ShownNames,
        news: RecentEvents,
        *,
        holders: ListMembers | None = None,
        extra: Extra | None = None,
    ) -> None:
        self._pool = pool
        self._names = names
        self._news = news
        self._holders = holders
        self._extra = extra
        self._numbers: dict[str, int] = {}
        self._turn = threading.Lock()
        self._before: tuple[WaitHistogram, int] | None = None

    def look(self, *, still: bool = False) -> tuple[float, Tables]:
        """Return the pool's time in seconds, and the tables.

        Values of the last period start at the last look that was not `still`.
        """
        with self._turn:
            seen = self._pool.snapshot(leases=self._holders is None, also=self._holders)
            tables: Tables = {
                "pool": {"": self._of_pool(seen, still)},
                "endpoints": self._of_endpoints(seen),
                "quotas": self._of_quotas(seen),
                "sources": self._of_sources(seen),
                "holders": self._of_holders(seen),
                "shares": self._of_shares(seen),
                "news": self._news.rows(),
            }
            if self._extra is not None:
                tables.update(self._extra())
            return round(seen.at_s, 3), tables

    def endpoint(self, row: str) -> str | None:
        """Return the real name of the endpoint in this row, or None."""
        return next((name for name, number in self._numbers.items() if str(number) == row), None)

    def _of_pool(self, seen: Snapshot, still: bool) -> dict[str, Any]:
        stats = seen.stats
        recent = self._recent(seen, still)
        return {
            "strategy": stats.strategy,
            "acquired": stats.acquired,
            "timed_out": stats.timed_out,
            "waiting": stats.waiting,
            "calls": stats.calls,
            "failures": stats.failures,
            "overloads": stats.overloads,
            "retries": stats.retries,
            "hedges": stats.hedges,
            "ejections": stats.ejections,
            **{f"wait_{name}_s": _short(getattr(stats.wait_s, name)) for name in ("mean", "p50", "p90", "p99", "max")},
            "wait_now_p50_s": _short(recent.p50),
            "wait_now_p99_s": _short(recent.p99),
        }

    def _of_holders(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        if self._holders is None:
            return holder_rows(seen.leases, self._names.plain)
        return member_rows(seen.also, self._names.plain)

    def _recent(self, seen: Snapshot, still: bool) -> WaitStats:
        """Return the waits of the leases that were granted since the last look."""
        granted = seen.stats.acquired
        waits, before = self._before or (seen.waits, granted)
        if not still:
            self._before = seen.waits, granted
        return seen.waits.since(waits).summary(granted - before)

    def _of_endpoints(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        return {
            str(self._numbers.setdefault(each.name, len(self._numbers))): {
                "name": self._names(each.name),
                "state": each.state,
                "health": each.health,
                "capacity": each.capacity,
                "weight": each.weight,
                "limit": each.limit,
                "in_flight": each.in_flight,
                "leases": each.leases,
                "successes": each.successes,
                "failures": each.failures,
                "overloads": each.overloads,
                "ignored": each.ignored,
                "ejections": each.ejections,
                "busy_s": round(each.busy_s, 2),
                "out_s": round(each.out_s, 1),
                "back_at_s": None if each.back_in_s is None else round(seen.at_s + each.back_in_s, 1),
            }
            for each in seen.stats.endpoints
        }

    def _of_quotas(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        return {
            str(number): {
                "name": self._names(each.name),
                "requests": each.requests,
                "requests_per_min": each.requests_per_min,
                "tokens": each.tokens,
                "tokens_per_min": each.tokens_per_min,
            }
            for number, each in enumerate(seen.stats.quotas)
        }

    def _of_sources(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        return {
            str(number): {
                "name": each.name,
                "kind": each.kind,
                "endpoints": each.endpoints,
                "missing": each.missing,
                "held": each.held,
                "failures": each.failures,
                "answered_at_s": None if each.age_s is None else round(seen.at_s - each.age_s, 1),
                "trouble": self._names.without_secrets(each.trouble),
            }
            for number, each in enumerate(seen.stats.sources)
        }

    def _of_shares(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        """Return a row for each holder with a fair share, of those with the most slot-seconds."""
        most = sorted(seen.stats.holders, key=lambda each: -each.busy_s)[:_MOST_HOLDERS]
        return {
            str(number): {
                "name": self._names.plain(each.name) or _NOBODY,
                "weight": each.weight,
                "slots": each.in_flight,
                "waiting": each.waiting,
                "leases": each.leases,
                "tokens": each.tokens,
                "busy_s": round(each.busy_s, 2),
                "share": round(each.share, 4),
                "wait_p50_s": _short(each.wait_s.p50),
                "wait_p99_s": _short(each.wait_s.p99),
            }
            for number, each in enumerate(most)
        }


def holder_rows(leases: Iterable[LeaseRow], shown: Callable[[str], str] = str) -> dict[str, dict[str, Any]]:
    """Return rows by holder: its number of leases and slots, and the start of its oldest lease.

    `shown` returns the shown name of a holder; holders with the same one share a row. Beyond a hundred, holders whose
    youngest lease is the oldest are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for lease in leases:  # oldest first
        name = shown(lease.holder) or _NOBODY
        row = found.setdefault(name, {"leases": 0, "slots": 0, "since_s": _past(lease.since_s)})
        row["leases"] += 1
        row["slots"] += lease.slots
    return dict(list(found.items())[:_MOST_HOLDERS])


def member_rows(holders: Any, shown: Callable[[str], str] = str) -> dict[str, dict[str, Any]]:
    """Return a row for each process: its leases and slots, the start of its oldest lease, and its number of waiters."""
    found: dict[str, dict[str, Any]] = {}
    for holder in sorted(holders, key=lambda each: -len(each.leases))[:_MOST_HOLDERS]:
        plain, number = shown(holder.name), 1
        name = plain
        while name in found:
            number += 1
            name = f"{plain} ({number})"
        since_s = min((lease.granted_s for lease in holder.leases), default=None)
        found[name] = {
            "leases": len(holder.leases),
            "slots": sum(lease.slots for lease in holder.leases),
            "since_s": None if since_s is None else _past(since_s),
            "waiting": holder.waiting,
        }
    return found


def rows_as_lists(tables: Tables) -> dict[str, Any]:
    """Return the tables for a reader of the whole state: a list of rows each; a table with one row is that row."""
    return {name: rows[""] if rows.keys() == {""} else _rows(rows) for name, rows in tables.items()}


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": row, **values} for row, values in rows.items()]


def _past(at_s: float) -> float:
    """Round an instant down to hundredths, so that it is not after the instant at which the page is seen."""
    return math.floor(at_s * 100) / 100


def _short(value_s: float) -> float:
    """Round to three digits, as measurements are not more exact."""
    return float(f"{value_s:.3g}")
