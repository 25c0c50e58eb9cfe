"""A trace as tables of an SQLite database: how the database of a run holds one, and how it is read.

Decides the tables. A call that was written as an open one is replaced when it ends. It must not know what else is in
the database.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.traces.rows import ATTEMPT_FIELDS, EVENT_FIELDS

__all__ = ["MAGIC", "SCHEMA", "insert_rows", "table_rows"]

MAGIC: Final = b"SQLite format 3\0"
"""What such a file begins with."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS trace_runs (run TEXT PRIMARY KEY, facts TEXT NOT NULL, ended TEXT);
CREATE TABLE IF NOT EXISTS trace_attempts (
    run TEXT, attempt INTEGER, asked_s REAL, granted_s REAL, ended_s REAL, endpoint TEXT, task TEXT, kind TEXT,
    size REAL, host TEXT, slots INTEGER, priority INTEGER, key TEXT, in_flight INTEGER, host_in_flight INTEGER,
    outcome TEXT, retry_after_s REAL, server_s REAL, open INTEGER, PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trace_events (run TEXT, at_s REAL, event TEXT, endpoint TEXT, value REAL, name TEXT);
"""


def _insert(table: str, fields: tuple[str, ...]) -> str:
    return f"INSERT OR REPLACE INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


_ATTEMPT: Final = _insert("trace_attempts", ATTEMPT_FIELDS)
_EVENT: Final = _insert("trace_events", EVENT_FIELDS)


def insert_rows(db: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows, as plain data, into the tables; whether all or none of them is for the caller to say."""
    attempts, events = [], []
    for row in rows:
        if row["row"] == "attempt":
            attempts.append([row[name] for name in ATTEMPT_FIELDS])
        elif row["row"] == "event":
            events.append([row[name] for name in EVENT_FIELDS])
        elif row["row"] == "run":
            db.execute("INSERT INTO trace_runs (run, facts) VALUES (?, ?)", (row["run"], json.dumps(row)))
        else:
            db.execute("UPDATE trace_runs SET ended = ? WHERE run = ?", (json.dumps(row), row["run"]))
    db.executemany(_ATTEMPT, attempts)
    db.executemany(_EVENT, events)


def table_rows(path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the database at `path`, as plain data. It may be in use.

    Raises:
        ConfigError: it cannot be read, or has no such tables.
    """
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as db:
            yield from _rows(db)
    except sqlite3.Error as error:
        raise ConfigError(
            f"{path}: holds no trace: {error}; the database of a run has one if this version has run it, on a pool "
            "of its own"
        ) from None


def _rows(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    db.execute("BEGIN")  # all of it as it is at one instant
    for (facts,) in db.execute("SELECT facts FROM trace_runs ORDER BY rowid"):
        yield json.loads(facts)
    for row in db.execute(f"SELECT {', '.join(ATTEMPT_FIELDS)} FROM trace_attempts"):
        known = dict(zip(ATTEMPT_FIELDS, row, strict=True))
        yield {"row": "attempt", **known, "open": bool(known["open"])}
    for row in db.execute(f"SELECT {', '.join(EVENT_FIELDS)} FROM trace_events ORDER BY rowid"):
        yield {"row": "event", **dict(zip(EVENT_FIELDS, row, strict=True))}
    for (ended,) in db.execute("SELECT ended FROM trace_runs WHERE ended IS NOT NULL ORDER BY rowid"):
        yield json.loads(ended)
