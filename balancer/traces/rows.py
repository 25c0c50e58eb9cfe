"""The lines of a trace: an attempt, something that happened, the beginning and the end of a run.

Decides the format, version 1: JSON, a line for each row, keys as below. What is not known is null. Times are seconds
of one clock, that of the run's pool; the run's first line says when that was by the calendar. docs/traces.md is the
same in words.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

__all__ = ["ATTEMPT_FIELDS", "EVENT_FIELDS", "VERSION", "Attempt", "Happening", "data_of", "line", "line_of", "row_of"]

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
ATTEMPT_FIELDS: Final = _FIELDS[Attempt]
EVENT_FIELDS: Final = _FIELDS[Happening]


def data_of(row: Attempt | Happening) -> dict[str, Any]:
    """Return a row as plain data."""
    kind = type(row)
    return {"row": _NAMES[kind], **{name: getattr(row, name) for name in _FIELDS[kind]}}


def line_of(row: Attempt | Happening) -> str:
    """Return the line of a row, with its end."""
    return line(data_of(row))


def line(data: Mapping[str, Any]) -> str:
    """Return the line of plain data, with its end."""
    return _encode(data) + "\n"


def row_of(data: dict[str, Any]) -> Attempt | Happening | None:
    """Return the row that a line holds; None for a line of another kind, which a later version may have.

    Raises:
        TypeError: something is missing.
    """
    kind = _KINDS.get(data.get("row", ""))
    if kind is None:
        return None
    return kind(**{name: data[name] for name in _FIELDS[kind] if name in data})  # what a later version adds is left out
