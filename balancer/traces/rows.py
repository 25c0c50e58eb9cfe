"""The lines of a trace: an attempt, something that happened, the beginning and the end of a run.

Decides the format, version 1: JSON, a line for each row, keys as below. What is not known is null. Times are seconds
of one clock, that of the run's pool; the run's first line says when that was by the calendar. docs/traces.md is the
same in words.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

__all__ = [
    "ATTEMPT_FIELDS",
    "EVENT_FIELDS",
    "VERSION",
    "Attempt",
    "Happening",
    "data_of",
    "line",
    "line_of",
    "mistake_in",
    "row_of",
]

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call: one lease, from asking for it to its end.

    Attributes:
        run: which process wrote it; clocks of two runs have nothing to do with each other.
        task: whose it was, as the caller said (`holder`); the attempts of a retried call share it.
        attempt: tells it apart within the run; it grows.
        kind: what it asked for: its labels, sorted, with "+" between them.
        size: what the caller said of it beforehand: the tokens that it reserved.
        asked_s, granted_s, ended_s: when the caller asked, got its lease and gave it back.
        endpoint, host: where it was made.
        slots: how many it held.
        priority: its head start in the queue.
        key: a stand-in for the key that it had, the same for the same key within a run; the key itself is not kept.
        in_flight, host_in_flight: slots in use at the endpoint and at its host just after the grant, its own included.
        outcome: "success", "failure", "overload" or "ignored".
        retry_after_s: for how long the endpoint asked to be left alone.
        server_s: how long the server says it took, as the caller told the lease.
        open: it had not ended when this was written: it took longer than until `ended_s`.
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
    in_flight: int | None = None
    host_in_flight: int | None = None
    outcome: str | None = None
    retry_after_s: float | None = None
    server_s: float | None = None
    open: bool = False

    @property
    def waited_s(self) -> float:
        """Seconds from asking to the lease."""
        return self.granted_s - self.asked_s

    @property
    def held_s(self) -> float:
        """Seconds from the lease to its end, or so far."""
        return self.ended_s - self.granted_s


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened besides calls.

    Attributes:
        run, at_s: as those of an attempt.
        event: "joined", "drained", "left", "capacity", "limit", "ejected", "probing", "rested", "restored", "spent",
            "strategy", "panic", "calm", "retried", "hedged" or "gave_up".
        endpoint: whose it is about, if it is about one.
        value: the capacity or limit from now on, or for how long somebody waited who gave up, in seconds.
        name: of the strategy from now on; of an endpoint that joined, its host.
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
_FIELDS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS.values()}
_NEEDED: Final = {
    kind: tuple(field.name for field in fields(kind) if field.default is MISSING) for kind in _KINDS.values()
}
ATTEMPT_FIELDS: Final = _FIELDS[Attempt]
EVENT_FIELDS: Final = _FIELDS[Happening]


def data_of(row: Attempt | Happening) -> dict[str, Any]:
    """Return a row as plain data."""
    kind = type(row)
    return {"row": _NAMES[kind], **{name: getattr(row, name) for name in _FIELDS[kind]}}


_FAR_S: Final = 1e12
_TEXTS: Final = ("task", "kind", "host", "key", "outcome")
_AMOUNTS: Final = ("size", "retry_after_s", "server_s")


def mistake_in(row: Attempt) -> str | None:
    """Return what is wrong with a call that somebody else may have written, and what is allowed; None: nothing."""
    times = {name: getattr(row, name) for name in ("asked_s", "granted_s", "ended_s")}
    known = all(_is_number(each) and abs(each) < _FAR_S for each in times.values())  # which nan is not
    if not known or not _is_whole(row.attempt) or not isinstance(row.run, str) or not isinstance(row.endpoint, str):
        return "asked_s, granted_s and ended_s must be numbers, attempt a whole one, and run and endpoint texts"
    if not row.asked_s <= row.granted_s <= row.ended_s:
        found = ", ".join(f"{name} {value:.6g}" for name, value in times.items())
        return f"found {found}; a call is asked for, then granted, then ended"
    if not _is_whole(row.slots) or row.slots < 1:
        return f"found slots {row.slots!r}; it must be a whole number, 1 or more"
    for name in _TEXTS:
        if not isinstance(getattr(row, name), str | None):
            return f"found {name} {getattr(row, name)!r}; it must be a text, or null"
    for name in _AMOUNTS:
        value = getattr(row, name)
        if value is not None and not (_is_number(value) and 0 <= value < _FAR_S):
            return f"found {name} {value!r}; it must be a number, 0 or more, or null"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def line_of(row: Attempt | Happening) -> str:
    """Return the line of a row, with its end."""
    return line(data_of(row))


def line(data: Mapping[str, Any]) -> str:
    """Return the line of plain data, with its end."""
    return _encode(data) + "\n"


def row_of(data: dict[str, Any]) -> Attempt | Happening | None:
    """Return the row that a line holds; None for a line of another kind, which a later version may have.

    Raises:
        TypeError: something is missing; the message says what.
    """
    kind = _KINDS.get(data.get("row", ""))
    if kind is None:
        return None
    if missing := [name for name in _NEEDED[kind] if name not in data]:
        raise TypeError(f"lacks {', '.join(missing)}")
    return kind(**{name: data[name] for name in _FIELDS[kind] if name in data})  # what a later version adds is left out
