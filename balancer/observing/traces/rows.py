"""Trace rows: attempts, events, the beginning and the end of a run.

Format version 1: JSON, a line for each row. Unknown values are null. Times are in seconds of the clock of the run's
pool; the run's first line has the calendar time. docs/live.md describes the format.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, NamedTuple

__all__ = [
    "ATTEMPT_FIELDS",
    "EVENT_FIELDS",
    "RULES",
    "TEXT",
    "TIME",
    "VERSION",
    "Attempt",
    "Happening",
    "KeyRule",
    "amount_of",
    "data_of",
    "facts_of",
    "line",
    "mistake_in",
    "mistake_in_facts",
    "row_of",
    "text_of",
]

VERSION: Final = 1
_LARGE: Final = 2**63  # whole numbers of a row must be below this: tables and columns hold no larger ones


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call: one lease, from the request to its end.

    Attributes:
        run: the run that wrote it. Clocks of two runs are unrelated.
        task: the caller's `holder`. The attempts of a retried call share it.
        attempt: a number that is unique in the run, and grows.
        kind: what it asked for: its labels, sorted, joined by "+".
        size: the caller's estimate: the tokens that it reserved.
        asked_s, granted_s, ended_s: when the caller asked, got its lease and released it.
        endpoint, host: where it was made.
        slots: how many slots it held.
        priority: its head start in the queue.
        key: a stand-in for its key, the same for the same key within a run. The key itself is not written.
        outcome: "success", "failure", "overload" or "ignored".
        retry_after_s: for how many seconds the endpoint asked for no calls.
        server_s: the server's own time for the call, as set by `Lease.took`.
        open: True if it had not ended when this was written, at `ended_s`.
    """

    run: str
    attempt: int
    asked_s: float
    granted_s: float
    ended_s: float
    endpoint: str
    task: str | None = None
    kind: str | None = None
    size: float | None = None
    host: str | None = None
    slots: int = 1
    priority: int | None = None
    key: str | None = None
    outcome: str | None = None
    retry_after_s: float | None = None
    server_s: float | None = None
    open: bool = False

    @property
    def waited_s(self) -> float:
        """Seconds from the request to the lease."""
        return self.granted_s - self.asked_s

    @property
    def held_s(self) -> float:
        """Seconds from the lease to its end, or so far."""
        return self.ended_s - self.granted_s


@dataclass(frozen=True, slots=True)
class Happening:
    """An event other than a call.

    Attributes:
        run, at_s: the run, and the time in seconds of its clock.
        event: "joined", "drained", "left", "capacity", "limit", "ejected", "spared", "probing", "rested", "restored",
            "spent", "strategy", "retried", "hedged" or "gave_up".
        endpoint: the endpoint of the event, if there is one.
        value: the new capacity or limit; for "gave_up", the seconds waited; for "ejected" and "rested", the seconds
            until the endpoint is tried again, as known then.
        name: the new strategy, the host of an endpoint that joined, or why an endpoint was ejected or spared.
    """

    run: str
    at_s: float
    event: str
    endpoint: str | None = None
    value: float | None = None
    name: str | None = None


_KINDS: Final[dict[str, type[Attempt] | type[Happening]]] = {"attempt": Attempt, "event": Happening}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_encode: Final = json.JSONEncoder().encode
_FIELDS: Final = {kind: {field.name: field.default for field in fields(kind)} for kind in _KINDS.values()}
ATTEMPT_FIELDS: Final = tuple(_FIELDS[Attempt])
EVENT_FIELDS: Final = tuple(_FIELDS[Happening])


def data_of(row: Attempt | Happening) -> dict[str, Any]:
    """Return a row as plain data."""
    kind = type(row)
    return {"row": _NAMES[kind], **{name: getattr(row, name) for name in _FIELDS[kind]}}


_FAR_S: Final = 1e12


class KeyRule(NamedTuple):
    """What a value must be: its type, the words for it, and from where to below where a number may be."""

    kind: Any
    words: str
    low: float = -math.inf
    high: float = math.inf

    def fits(self, value: Any) -> bool:
        """Return whether `value` is so. NaN is not."""
        if not isinstance(value, self.kind) or (isinstance(value, bool) and self.kind is not bool):
            return False
        return self.kind in (str, bool) or self.low <= value < self.high


TEXT: Final = KeyRule(str, "a text")
TIME: Final = KeyRule(int | float, "a number of seconds", -_FAR_S, _FAR_S)
_AMOUNT: Final = KeyRule(int | float, "a number, 0 or more", 0, _FAR_S)
_LEAST_ONE: Final = KeyRule(int, "a whole number, 1 or more", 1, _LARGE)
_WHOLE: Final = KeyRule(int, "a whole number of 64 bits", -_LARGE, _LARGE)
RULES: Final[Mapping[str, KeyRule]] = {
    **dict.fromkeys(("run", "endpoint", "task", "kind", "host", "key", "outcome", "event", "name"), TEXT),
    **dict.fromkeys(("asked_s", "granted_s", "ended_s", "at_s"), TIME),
    **dict.fromkeys(("size", "retry_after_s", "server_s"), _AMOUNT),
    **dict.fromkeys(("slots", "version"), _LEAST_ONE),
    **dict.fromkeys(("attempt", "priority"), _WHOLE),
    "value": KeyRule(int | float, "a number", -_LARGE, _LARGE),
    "open": KeyRule(bool, "true or false"),
    "lost": KeyRule(int, "a whole number, 0 or more", 0, _LARGE),
}
"""By key of a row. A key whose default is None may be null."""


def mistake_in(row: Attempt | Happening) -> str | None:
    """Return what is wrong with a row, e.g. of another program, and what is allowed; None if it is valid."""
    for name, default in _FIELDS[type(row)].items():
        value, rule = getattr(row, name), RULES[name]
        if not (rule.fits(value) or (value is None and default is None)):
            return _wrong(name, value, rule.words + ", or null" * (default is None))
    if isinstance(row, Attempt) and not row.asked_s <= row.granted_s <= row.ended_s:
        times = ", ".join(f"{name} {getattr(row, name):.6g}" for name in ("asked_s", "granted_s", "ended_s"))
        return f"found {times}; asked_s must come first, then granted_s, then ended_s"
    return None


def mistake_in_facts(data: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a row that begins or ends a run; None if it is valid, or of a later version."""
    values = {"version": VERSION, "run": None} if data["row"] == "run" else {"lost": 0, "run": None}
    values |= {name: data[name] for name in values if name in data}
    if type(data.get("version")) is int and data["version"] > VERSION:
        return None
    wrong = [_wrong(name, value, RULES[name].words) for name, value in values.items() if not RULES[name].fits(value)]
    return wrong[0] if wrong else None


def _wrong(name: str, value: object, words: str) -> str:
    try:
        shown = repr(value)[:80]
    except (ValueError, RecursionError):  # a number of thousands of digits, or a list that is nested too deeply
        shown = f"a {type(value).__name__}"
    return f"found {name} {shown}; it must be {words}"


def facts_of(text: object) -> dict[str, Any] | None:
    """Return the row that begins or ends a run from its JSON; None if it is not a JSON object."""
    try:
        data = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def amount_of(value: float | None) -> float | None:
    """Return `value` if it is valid as an amount (of tokens, or seconds) in a row, else None (unknown)."""
    return value if _AMOUNT.fits(value) else None


def text_of(value: str | None) -> str | None:
    """Return `value` with a question mark for each half of a character (a surrogate), which no file can hold."""
    return value if value is None or value.isascii() else value.encode(errors="replace").decode()


def line(data: Mapping[str, Any]) -> str:
    """Return the line of plain data, with its newline."""
    return _encode(data) + "\n"


def row_of(data: dict[str, Any]) -> Attempt | Happening | None:
    """Return the row of a line; None for a line of another kind, which a later version may have.

    Raises:
        TypeError: something is missing; the message says what.
    """
    name = data.get("row", "")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    if missing := [name for name, default in _FIELDS[kind].items() if default is MISSING and name not in data]:
        raise TypeError(f"lacks {', '.join(missing)}")
    return kind(**{name: data[name] for name in _FIELDS[kind] if name in data})  # skips what a later version adds
