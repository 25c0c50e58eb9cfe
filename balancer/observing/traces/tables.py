"""Traces in SQLite: the tables of a run's database, and how they are read.

A call that was written as an open one is replaced when it ends.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.rows import ATTEMPT_FIELDS, EVENT_FIELDS, facts_of

__all__ = ["MAGIC", "SCHEMA", "insert_rows", "table_rows"]

MAGIC: Final = b"SQLite format 3\0"
"""The first bytes of such a file."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS trace_runs (run TEXT PRIMARY KEY, facts TEXT NOT NULL, ended TEXT);
CREATE TABLE IF NOT EXISTS trace_attempts (
    run TEXT, attempt INTEGER, asked_s REAL, granted_s REAL, ended_s REAL, endpoint TEXT, task TEXT, kind TEXT,
    size REAL, host TEXT, slots INTEGER, priority INTEGER, key TEXT, outcome TEXT, retry_after_s REAL, server_s REAL,
    open INTEGER, PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trace_events (run TEXT, at_s REAL, event TEXT, endpoint TEXT, value REAL, name TEXT);
"""

_TABLES: Final = ("trace_runs", "trace_attempts", "trace_events")
_FORBIDDEN: Final = ("readonly database", "unable to open")
_LONGEST: Final = 2**26  # bytes of a value


def _insert(table: str, fields: tuple[str, ...]) -> str:
    return f"INSERT OR REPLACE INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


_ATTEMPT: Final = _insert("trace_attempts", ATTEMPT_FIELDS)
_EVENT: Final = _insert("trace_events", EVENT_FIELDS)
_fields_of_attempt: Final = itemgetter(*ATTEMPT_FIELDS)
_fields_of_event: Final = itemgetter(*EVENT_FIELDS)


def insert_rows(db: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, as plain data, into the tables. The caller controls the transaction."""
    attempts, events = [], []
    for row in rows:
        if row["row"] == "attempt":
            attempts.append(_fields_of_attempt(row))
        elif row["row"] == "event":
            events.append(_fields_of_event(row))
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
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)  # also for texts that the database computes
            yield from _rows(db, path)
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _FORBIDDEN):
            raise ConfigError(
                f"{path}: cannot be read: {error}; SQLite needs a folder where you may write: copy "
                f"it and, if there is one, {Path(path).name}-wal there"
            ) from None
        raise ConfigError(
            f"{path}: holds no trace: {error}; the database of a run has one if this version made it, on a pool "
            "of its own"
        ) from None


def _rows(db: sqlite3.Connection, path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    db.execute("BEGIN")  # reads all of it as of one instant
    for name, kind in db.execute("SELECT name, type FROM sqlite_master WHERE name LIKE 'trace_%'"):
        if name in _TABLES and kind != "table":  # a view may take any time
            raise ConfigError(f"{path}: {name} is a {kind}; a trace has tables only")
    for (facts,) in db.execute("SELECT facts FROM trace_runs ORDER BY rowid"):
        yield _facts(facts, path)
    for row in db.execute(f"SELECT {', '.join(ATTEMPT_FIELDS)} FROM trace_attempts"):
        known = dict(zip(ATTEMPT_FIELDS, row, strict=True))
        yield {"row": "attempt", **known, "open": bool(known["open"])}
    for row in db.execute(f"SELECT {', '.join(EVENT_FIELDS)} FROM trace_events ORDER BY rowid"):
        yield {"row": "event", **dict(zip(EVENT_FIELDS, row, strict=True))}
    for (ended,) in db.execute("SELECT ended FROM trace_runs WHERE ended IS NOT NULL ORDER BY rowid"):
        yield _facts(ended, path)


def _facts(text: object, path: str | PathLike[str]) -> dict[str, Any]:
    facts = facts_of(text)
    if facts is None:
        raise ConfigError(f"{path}: trace_runs: found {text!r:.60}, which is not a JSON object, as a row of a trace")
    return facts
