"""The live page's tables: a pool at one instant, rounded, and without secrets.

All data of the pool is of one instant. Names of endpoints and holders have neither user nor query; headers and keys are
not shown.

Readers get what has changed between two versions of the tables. The page's script and `balancer top` read that form.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

from balancer.core.events import (
    Added,
    Drained,
    Ejected,
    Event,
    Probing,
    Removed,
    Rested,
    Restored,
    Spared,
    Spent,
    StrategyChanged,
)
from balancer.core.metrics import (
    EndpointStats,
    LeaseRow,
    PoolStats,
    QuotaStats,
    WaitRow,
    figures_of,
)
from balancer.core.readings import Snapshot
from balancer.endpoint import Lease
from balancer.observing import WatchedPool
from balancer.observing.page.history import FreshWaits, PageHistory
from balancer.shells.logs import until_back
from balancer.values.redaction import ShownNames

__all__ = [
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
    "short_names",
]

Tables = dict[str, dict[str, dict[str, Any]]]
"""Rows by table and id, in order of arrival. A row has its values by column. All is ready for JSON."""

_KEPT: Final = 100  # lines of recent events
_EPISODE_S: Final = 600.0  # rests that follow each other for longer get a further line
_MOST_HOLDERS: Final = 100
_MOST_PLACES: Final = 3
_SHORT: Final = 20  # characters
_NOBODY: Final = "(not named)"
_NO_ROW: Final[dict[str, Any]] = {}
_SAID: Final[dict[type[Event], str]] = {
    Added: "in service",
    Drained: "drained",
    Removed: "removed",
    Ejected: "ejected",
    Probing: "on trial",
    Rested: "asked for a rest",
    Restored: "back in service",
    Spared: "would be ejected",
    Spent: "its account has no quota left",
}

Extra = Callable[[], Tables]


def changes(before: Tables, after: Tables) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Return the changes from `before` to `after`: by table and row the columns that changed; None for a row that went.

    Unchanged tables and rows are left out. No column of a row goes.
    """
    found: dict[str, dict[str, dict[str, Any] | None]] = {}
    for table in {**before, **after}:
        old, new = before.get(table, {}), after.get(table, {})
        rows: dict[str, dict[str, Any] | None] = {
            row: {key: value for key, value in values.items() if key not in known or known[key] != value}
            for row, values in new.items()
            if (known := old.get(row, _NO_ROW)) != values
        }
        if rows := rows | dict.fromkeys(old.keys() - new.keys()):
            found[table] = rows
    return found


def apply(tables: Tables, told: Mapping[str, Mapping[str, Mapping[str, Any] | None]]) -> None:
    """Apply the result of `changes` to `tables`."""
    for table, rows in told.items():
        mine = tables.setdefault(table, {})
        for row, values in rows.items():
            if values is None:
                mine.pop(row, None)
            else:
                mine.setdefault(row, {}).update(values)


class MemberLeases(NamedTuple):
    """The leases of one process, in a pool that several share, and since when each of its callers that waits does."""

    name: str
    leases: Sequence[Lease]
    waits_since_s: Sequence[float]


ListMembers = Callable[[], Sequence[MemberLeases]]


@dataclass(slots=True)
class _Line:
    """A line about an endpoint: what happened, how often, and whether it is over."""

    at_s: float
    where: str
    what: str
    rests: int = 0
    tries: int = 0
    back_s: float | None = None

    @property
    def said(self) -> str:
        tried = f"; tried {self.tries} more {'time' if self.tries == 1 else 'times'}" if self.tries else ""
        back = "" if self.back_s is None else "; back in service" + ("" if self.rests > 1 else f" after {self._away}")
        return f"{self.what}{tried}{back}"

    @property
    def _away(self) -> str:
        return f"{max(0.0, (self.back_s or 0.0) - self.at_s):.3g} s"

    def again(self, event: Rested) -> None:
        """Count one more rest."""
        self.rests += 1
        self.back_s = None
        for_s = "" if event.for_s is None else f" of {event.for_s:.3g} s"
        if self.rests == 1:
            self.what = f"{_SAID[Rested]}{for_s}"
        else:
            over_s = event.at_s - self.at_s
            self.what = f"{_SAID[Rested]} {self.rests} times in {over_s:.3g} s" + (
                f", the last{for_s}" if for_s else ""
            )

    def returned(self, at_s: float) -> None:
        """Note that it is back in service."""
        self.back_s = at_s


class RecentEvents:
    """An observer that keeps the latest events of endpoints, an episode a line.

    An endpoint that rests or is ejected, and its return, are one line; so are rests that follow each other.

    Args:
        names: the shown names of endpoints.
    """

    kinds = frozenset({*_SAID, StrategyChanged})

    def __init__(self, names: ShownNames) -> None:
        self._names = names
        self._count = 0
        self._lines: dict[int, _Line] = {}
        self._open: dict[str, _Line] = {}  # the line of each endpoint that is away, or came back from a rest
        self._turn = threading.Lock()

    def __call__(self, event: Event, /) -> None:
        """Keep a line about `event`, or add it to that of its endpoint."""
        with self._turn:
            if isinstance(event, StrategyChanged):
                self._add(event.at_s, "", f"the strategy is now {event.strategy}")
            else:
                self._of_endpoint(event, self._names(getattr(event, "endpoint", "")))

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the lines, oldest first."""
        with self._turn:
            return {
                str(number): {"at_s": round(line.at_s, 2), "endpoint": line.where, "said": line.said}
                for number, line in self._lines.items()
            }

    def _of_endpoint(self, event: Event, where: str) -> None:
        line = self._open.get(where)
        match event:
            case Rested() if line is not None and line.rests and event.at_s - line.at_s < _EPISODE_S:
                line.again(event)
            case Rested():
                self._open[where] = line = self._add(event.at_s, where, "")
                line.again(event)
            case Restored() if line is not None:
                line.returned(event.at_s)
                if not line.rests:
                    del self._open[where]
            case Probing() if line is not None:
                pass  # it is tried again; what comes of it is said
            case Ejected() if line is not None and not line.rests:
                line.tries += 1
            case Spared():
                why = self._names.without_secrets(event.why)
                self._add(event.at_s, where, f"{_SAID[Spared]} ({why}), but {event.but}")
            case Ejected():
                why = f": {self._names.without_secrets(event.why)}{until_back(event.for_s)}" if event.why else ""
                self._open[where] = self._add(event.at_s, where, f"{_SAID[Ejected]}{why}")
            case _:
                self._open.pop(where, None)
                self._add(event.at_s, where, _SAID[type(event)])

    def _add(self, at_s: float, where: str, said: str) -> _Line:
        self._count += 1
        line = self._lines[self._count] = _Line(at_s, where, said)
        if len(self._lines) > _KEPT:
            old = self._lines.pop(next(iter(self._lines)))
            if self._open.get(old.where) is old:
                del self._open[old.where]
        return line


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
        pool: WatchedPool,
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
        self._fresh = FreshWaits()
        self.history = PageHistory()

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

    def sample(self) -> None:
        """Add the pool as it is now to the history."""
        with self._turn:
            seen = self._pool.snapshot()
            rows = {each.name: self._row(each.name) for each in seen.stats.endpoints}
        self.history.take(seen, rows)

    def endpoint(self, row: str) -> str | None:
        """Return the real name of the endpoint in this row, or None."""
        return next((name for name, number in self._numbers.items() if str(number) == row), None)

    def _row(self, name: str) -> str:
        return str(self._numbers.setdefault(name, len(self._numbers)))

    def _of_pool(self, seen: Snapshot, still: bool) -> dict[str, Any]:
        stats = seen.stats
        recent = self._fresh.of(seen, still=still)
        return {
            **_figures(stats),
            **{f"wait_{name}_s": _short(getattr(stats.wait_s, name)) for name in ("mean", "p50", "p90", "p99", "max")},
            "wait_now_p50_s": _short(recent.p50),
            "wait_now_p99_s": _short(recent.p99),
        }

    def _of_holders(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        if self._holders is None:
            return holder_rows(seen.leases, self._names.plain, seen.waiters, self._names)
        return member_rows(seen.also, self._names.plain, self._names)

    def _of_endpoints(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        names = [self._names(each.name) for each in seen.stats.endpoints]
        return {
            self._row(each.name): {
                "name": name,
                "short": short,
                **_figures(each),
                "spared": self._names.without_secrets(each.spared),
                "why_out": self._names.without_secrets(each.why_out),
                "back_at_s": None if each.back_in_s is None else round(seen.at_s + each.back_in_s, 1),
            }
            for each, name, short in zip(seen.stats.endpoints, names, short_names(names), strict=True)
        }

    def _of_quotas(self, seen: Snapshot) -> dict[str, dict[str, Any]]:
        return {
            str(number): {"name": self._names(each.name), **_figures(each)}
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


def short_names(names: Sequence[str]) -> list[str]:
    """Return the names without their scheme, and if one is long, without what all have in common, in whole words."""
    plain = [name.partition("://")[2].rstrip("/") or name for name in names]
    if max(map(len, plain), default=0) <= _SHORT:
        return plain
    before, after = (_shared(side) if len(plain) > 1 else 0 for side in (plain, [name[::-1] for name in plain]))
    short = [name[before : len(name) - after] for name in plain]
    return short if all(short) else plain


def _shared(names: Sequence[str]) -> int:
    common = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return max((number for number, (sign, _) in enumerate(common, 1) if not sign.isalnum()), default=0)


def holder_rows(
    leases: Iterable[LeaseRow],
    shown: Callable[[str], str] = str,
    waiters: Iterable[WaitRow] = (),
    endpoint: Callable[[str], str] = str,
) -> dict[str, dict[str, Any]]:
    """Return rows by holder: its leases and slots, where, since when; its waiters, and since when they wait.

    `shown` returns the shown name of a holder; holders with the same one share a row. `endpoint` returns that of an
    endpoint. `on` has [endpoint, slots] of the first few, and `places` how many there are. Beyond a hundred, holders
    whose youngest lease is the oldest are left out.
    """
    found: dict[str, tuple[list[_Held], list[tuple[int, float]]]] = {}
    for lease in leases:  # oldest first
        of = found.setdefault(shown(lease.holder) or _NOBODY, ([], []))
        of[0].append((lease.endpoint, lease.slots, lease.since_s))
    for each in waiters:
        found.setdefault(shown(each.holder) or _NOBODY, ([], []))[1].append((each.waiting, each.since_s))
    return {name: _holder_row(*of, endpoint) for name, of in islice(found.items(), _MOST_HOLDERS)}


def member_rows(
    members: Any, shown: Callable[[str], str] = str, endpoint: Callable[[str], str] = str
) -> dict[str, dict[str, Any]]:
    """Return a row for each process, with what `holder_rows` says of a holder; two of one name have two rows."""
    found: dict[str, dict[str, Any]] = {}
    for member in sorted(members, key=lambda each: -len(each.leases))[:_MOST_HOLDERS]:
        plain, number = shown(member.name), 1
        name = plain
        while name in found:
            number += 1
            name = f"{plain} ({number})"
        leases = [(lease.endpoint.name, lease.slots, lease.granted_s) for lease in member.leases]
        found[name] = _holder_row(leases, [(1, since_s) for since_s in member.waits_since_s], endpoint)
    return found


_Held = tuple[str, int, float]  # an endpoint, slots of it, since when


def _holder_row(
    leases: Sequence[_Held], waits: Sequence[tuple[int, float]], shown: Callable[[str], str]
) -> dict[str, Any]:
    slots: Counter[str] = Counter()
    for name, many, _ in leases:
        slots[name] += many
    return {
        "leases": len(leases),
        "slots": slots.total(),
        "since_s": _first(since_s for _, _, since_s in leases),
        "waiting": sum(many for many, _ in waits),
        "waits_since_s": _first(since_s for _, since_s in waits),
        "places": len(slots),
        "on": [[shown(name), many] for name, many in slots.most_common(_MOST_PLACES)],
    }


def _figures(row: PoolStats | EndpointStats | QuotaStats) -> dict[str, Any]:
    """Return the figures that a row declares, rounded as they say."""
    found = {}
    for name, figure in figures_of(type(row)).items():
        if figure.kind != "histogram":
            value = getattr(row, name)
            found[name] = value if figure.digits is None else round(value, figure.digits)
    return found


def _first(instants_s: Iterable[float]) -> float | None:
    return min(map(_past, instants_s), default=None)


def rows_as_lists(tables: Tables) -> dict[str, Any]:
    """Return the tables for a reader of the whole state: a list of rows each; a table with one row is that row."""
    return {
        name: rows[""] if rows.keys() == {""} else [{"id": row, **values} for row, values in rows.items()]
        for name, rows in tables.items()
    }


def _past(at_s: float) -> float:
    """Round an instant down to hundredths, so that it is not after the instant at which the page is seen."""
    return math.floor(at_s * 100) / 100


def _short(value_s: float) -> float:
    """Round to three digits, as measurements are not more exact."""
    return float(f"{value_s:.3g}")
