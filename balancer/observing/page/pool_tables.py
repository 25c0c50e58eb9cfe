"""The tables of the live page: a pool at one instant, rounded, and without secrets.

All data of the pool is of one instant. Names of endpoints and holders have neither user nor query; headers and keys are
not shown. The page's script and `balancer top` read these tables as they are.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

from balancer.core.events import (
    Added,
    Drained,
    Ejected,
    Event,
    Removed,
    Rested,
    Restored,
    Spared,
    Spent,
    StrategyChanged,
)
from balancer.core.metrics import LeaseRow, WaitRow, WaitStats, figures_of
from balancer.core.readings import Snapshot
from balancer.endpoint import Lease
from balancer.observing import WatchedPool
from balancer.observing.page.history import PageHistory, mark_and_word
from balancer.values.redaction import ShownNames

__all__ = [
    "ListMembers",
    "MemberLeases",
    "PoolTables",
    "RecentEvents",
    "Row",
    "Tables",
    "holder_rows",
    "member_rows",
    "short_names",
]

Row = dict[str, Any]
Tables = dict[str, Any]
"""By name a list of rows, or the only row of a table. A row has its values by column. All is ready for JSON."""

_KEPT: Final = 100  # lines of recent events
_EPISODE_S: Final = 600.0  # what happens again and again for longer gets a further line
_MOST_HOLDERS: Final = 100
_MOST_PLACES: Final = 3
_SHORT: Final = 20  # characters
_NOBODY: Final = "(not named)"
_SAID: Final[dict[type[Event], str]] = {
    Added: "in service",
    Drained: "drained",
    Removed: "removed",
    Ejected: "ejected",
    Rested: "asked for a rest",
    Restored: "back in service",
    Spared: "would be ejected",
    Spent: "its account has no quota left",
}

Extra = Callable[[], Tables]


class MemberLeases(NamedTuple):
    """The leases of one process, in a pool that several share, and since when each of its callers that waits does."""

    name: str
    leases: Sequence[Lease]
    waits_since_s: Sequence[float]


ListMembers = Callable[[], Sequence[MemberLeases]]


@dataclass(slots=True)
class _Line:
    """A line about an endpoint: what happened, how often, and when it was over."""

    at_s: float
    where: str
    kind: type[Event]
    what: str
    times: int = 1
    back_s: float | None = None

    @property
    def said(self) -> str:
        often = f"; {self.times} times in all" if self.times > 1 else ""
        back = "" if self.back_s is None else f"; back in service after {max(0.0, self.back_s - self.at_s):.3g} s"
        return self.what + often + back


class RecentEvents:
    """An observer that keeps the latest events of endpoints.

    An endpoint that is ejected, or rests, has one line until it is back; so has one that rests again and again.

    Args:
        names: the shown names of endpoints.
    """

    kinds = frozenset({*_SAID, StrategyChanged})

    def __init__(self, names: ShownNames) -> None:
        self._names = names
        self._count = 0
        self._lines: dict[int, _Line] = {}
        self._away: dict[str, _Line] = {}  # the last line of each endpoint that is away, or was
        self._turn = threading.Lock()

    def __call__(self, event: Event, /) -> None:
        """Keep a line about `event`, or add it to that of its endpoint."""
        with self._turn:
            where, kind = self._names(getattr(event, "endpoint", "")), type(event)
            line = self._away.get(where)
            if isinstance(event, Restored) and line is not None and line.back_s is None:
                line.back_s = event.at_s
            elif (
                line is not None
                and line.kind is kind
                and (line.back_s is None or kind is Rested)
                and (event.at_s - line.at_s < _EPISODE_S)
            ):
                line.times, line.back_s = line.times + 1, None
            else:
                self._add(_Line(event.at_s, where, kind, self._what(event)))

    def rows(self) -> list[Row]:
        """Return the lines, oldest first."""
        with self._turn:
            return [
                {"id": str(number), "at_s": round(line.at_s, 2), "endpoint": line.where, "said": line.said}
                for number, line in self._lines.items()
            ]

    def _what(self, event: Event) -> str:
        match event:
            case StrategyChanged():
                return f"the strategy is now {event.strategy}"
            case Spared():
                return f"{_SAID[Spared]} ({self._names.without_secrets(event.why)}), but {event.but}"
            case Ejected() if event.why:
                return f"{_SAID[Ejected]}: {self._names.without_secrets(event.why)}"
            case Rested() if event.for_s is not None:
                return f"{_SAID[Rested]} of {event.for_s:.3g} s"
        return _SAID[type(event)]

    def _add(self, line: _Line) -> None:
        self._count += 1
        self._lines[self._count] = line
        if line.kind in (Ejected, Rested):
            self._away[line.where] = line
        elif line.kind is not Spared:
            self._away.pop(line.where, None)
        if len(self._lines) > _KEPT:
            old = self._lines.pop(next(iter(self._lines)))
            if self._away.get(old.where) is old:
                del self._away[old.where]


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
        extra: Extra = dict,
    ) -> None:
        self._pool = pool
        self._names = names
        self._news = news
        self._holders = holders
        self._extra = extra
        self._numbers: dict[str, int] = {}
        self._turn = threading.Lock()
        self._last: tuple[float, Tables] = -math.inf, {}
        self.history = PageHistory()

    def look(self) -> Tables:
        """Return the tables, with the pool's time as `at_s`. All who ask while a look is made share the next one."""
        asked_s = time.monotonic()
        with self._turn:
            if self._last[0] < asked_s:
                self._last = time.monotonic(), self._tables()
            return self._last[1]

    def sample(self) -> None:
        """Add the pool as it is now to the history."""
        with self._turn:
            seen = self._pool.snapshot()
            self.history.take(seen, {each.name: self.row(each.name) for each in seen.stats.endpoints})

    def endpoint(self, row: str) -> str:
        """Return the real name of the endpoint in this row; "": there was none."""
        return next((name for name, number in self._numbers.items() if str(number) == row), "")

    def row(self, name: str) -> str:
        """Return the id of an endpoint."""
        return str(self._numbers.setdefault(name, len(self._numbers)))

    def _tables(self) -> Tables:
        seen = self._pool.snapshot(leases=self._holders is None, also=self._holders)
        plain, hide = self._names.plain, self._names.without_secrets
        return {
            "at_s": round(seen.at_s, 3),
            "pool": {
                **_figures(seen.stats),
                **_waits("wait", seen.stats.wait_s, "mean", "p50", "p90", "p99", "max"),
                **_waits("wait_now", self.history.recent(seen), "p50", "p99"),
            },
            "endpoints": self._of_endpoints(seen),
            "quotas": [{**_figures(each), "name": self._names(each.name)} for each in seen.stats.quotas],
            "sources": [
                {
                    **_figures(each),
                    "name": each.name,
                    "kind": each.kind,
                    "held": each.held,
                    "answered_at_s": None if each.age_s is None else round(seen.at_s - each.age_s, 1),
                    "trouble": hide(each.trouble),
                }
                for each in seen.stats.sources
            ],
            "holders": holder_rows(seen.leases, plain, seen.waiters, self._names)
            if self._holders is None
            else member_rows(seen.also, plain, self._names),
            "shares": [
                {
                    **_figures(each),
                    "name": plain(each.name) or _NOBODY,
                    "share": round(each.share, 4),
                    **_waits("wait", each.wait_s, "p50", "p99"),
                }
                for each in sorted(seen.stats.holders, key=lambda each: -each.busy_s)[:_MOST_HOLDERS]
            ],
            "news": self._news.rows(),
            **self._extra(),
        }

    def _of_endpoints(self, seen: Snapshot) -> list[Row]:
        names, hide = [self._names(each.name) for each in seen.stats.endpoints], self._names.without_secrets
        return [
            {
                "id": self.row(each.name),
                "name": name,
                "short": short,
                **dict(zip(("mark", "word"), mark_and_word(each), strict=True)),
                **_figures(each),
                "spared": hide(each.spared),
                "why_out": hide(each.why_out),
                "back_at_s": None if each.back_in_s is None else round(seen.at_s + each.back_in_s, 1),
            }
            for each, name, short in zip(seen.stats.endpoints, names, short_names(names), strict=True)
        ]


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
) -> list[Row]:
    """Return a row for each holder: its leases and slots, where, since when; its waiters, and since when they wait.

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
    return [_holder_row(name, *of, endpoint) for name, of in islice(found.items(), _MOST_HOLDERS)]


def member_rows(members: Any, shown: Callable[[str], str] = str, endpoint: Callable[[str], str] = str) -> list[Row]:
    """Return a row for each process, with what `holder_rows` says of a holder; two of one name have two rows."""
    found, names = [], Counter[str]()
    for member in sorted(members, key=lambda each: -len(each.leases))[:_MOST_HOLDERS]:
        name = shown(member.name)
        names[name] += 1
        leases = [(lease.endpoint.name, lease.slots, lease.granted_s) for lease in member.leases]
        waits = [(1, since_s) for since_s in member.waits_since_s]
        found.append(_holder_row(name if names[name] == 1 else f"{name} ({names[name]})", leases, waits, endpoint))
    return found


_Held = tuple[str, int, float]  # an endpoint, slots of it, since when


def _holder_row(
    name: str, leases: Sequence[_Held], waits: Sequence[tuple[int, float]], shown: Callable[[str], str]
) -> Row:
    slots: Counter[str] = Counter()
    for place, many, _ in leases:
        slots[place] += many
    return {
        "id": name,
        "leases": len(leases),
        "slots": slots.total(),
        "since_s": _first(since_s for _, _, since_s in leases),
        "waiting": sum(many for many, _ in waits),
        "waits_since_s": _first(since_s for _, since_s in waits),
        "places": len(slots),
        "on": [[shown(place), many] for place, many in slots.most_common(_MOST_PLACES)],
    }


def _figures(row: Any) -> Row:
    """Return the figures that a row declares, rounded as they say, but for waits."""
    found = {}
    for name, figure in figures_of(type(row)).items():
        value = getattr(row, name)
        if not isinstance(value, WaitStats):
            found[name] = value if figure.digits is None else round(value, figure.digits)
    return found


def _waits(name: str, waits: WaitStats, *parts: str) -> Row:
    """Return waits, rounded to three digits, as measurements are not more exact."""
    return {f"{name}_{part}_s": float(f"{getattr(waits, part):.3g}") for part in parts}


def _first(instants_s: Iterable[float]) -> float | None:
    """Return the first instant, rounded down, so that it is not after the one at which the page is seen."""
    return min((math.floor(each * 100) / 100 for each in instants_s), default=None)
