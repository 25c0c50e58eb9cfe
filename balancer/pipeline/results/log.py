"""Log of a run: one table of events in SQLite, for many threads of one process.

Decides how events are written down, in batches, and how the results folder is locked and opened. What the events mean
is for others. Only one process uses a folder at a time. A folder with other files and no run is refused, and links in
it are not followed. A fresh start deletes only the database.

Events are committed in the order in which they were added, at once, or with the next ones if they can wait. So a
process that dies loses nothing but those: whatever is lost, all that followed from it is lost too.
"""

import fcntl
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import IO, Any, Final

from balancer.errors import BalancerError, ConfigError
from balancer.observing.traces.tables import SCHEMA as TRACE_SCHEMA

__all__ = ["DATABASE", "Event", "EventLog", "lock_folder"]

Event = tuple[str, str, str]
"""The problem ("": the run as a whole), the kind, and the payload as JSON: a list."""

DATABASE: Final = "run.sqlite"
_AT_ONCE = 100
_LOCK = "run.lock"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, problem TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of ON events (kind, problem);
CREATE UNIQUE INDEX IF NOT EXISTS met_at ON events (json_extract(payload, '$[0]')) WHERE kind = 'met';
CREATE UNIQUE INDEX IF NOT EXISTS bad_row_at ON events (json_extract(payload, '$[0]')) WHERE kind = 'bad_row';
CREATE UNIQUE INDEX IF NOT EXISTS answer_to ON events (json_extract(payload, '$[0]')) WHERE kind = 'answer';
CREATE INDEX IF NOT EXISTS leased_in ON events (json_extract(payload, '$[0]')) WHERE kind = 'leased';
CREATE VIEW IF NOT EXISTS spans AS SELECT
    seq, problem, json_extract(payload, '$[0]') AS session, json_extract(payload, '$[1]') AS endpoint,
    json_extract(payload, '$[2]') AS stage, json_extract(payload, '$[3]') AS subject,
    json_extract(payload, '$[4]') AS case_id, json_extract(payload, '$[5]') AS started_s,
    json_extract(payload, '$[6]') AS ended_s, json_extract(payload, '$[7]') AS outcome
    FROM events WHERE kind = 'leased';
{TRACE_SCHEMA}
"""
_INSERT: Final = "INSERT OR REPLACE INTO events (problem, kind, payload) VALUES (?, ?, ?)"


def as_event(problem: str, kind: str, *payload: object) -> Event:
    """Return an event as it is written down: half of a surrogate pair, which no file can hold, as a question mark."""
    told = json.dumps(payload, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return problem, kind, told if told.isascii() else told.encode(errors="replace").decode()


def _plain(value: object) -> object:
    """Return as JSON: bytes as text of the same numbers, an enum as its value."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} cannot be written down")


class EventLog:
    """The log of one results folder, which it locks. Thread-safe; one process at a time.

    Args:
        folder: created if it is missing.
        signature: of what events mean. A log with another one is of another version.
        fresh: delete the existing log first.

    Raises:
        ConfigError: another process uses it, it holds files but no run, another version made it, or it cannot be
            written.

    Every method raises BalancerError, one line, if the database fails, e.g. because the disk is full.
    """

    def __init__(self, folder: Path, signature: str, *, fresh: bool) -> None:
        self.version = zlib.crc32((_SCHEMA + signature).encode()) & 0x7FFF_FFFF
        self._folder = folder
        self._lock = threading.RLock()
        self._later: list[Event] = []
        self._guard = lock_folder(folder)
        try:
            self._db = _opened_database(folder, self.version, fresh=fresh)
        except BaseException:
            self._guard.close()
            raise

    def close(self) -> None:
        """Write what waits, if it can be written. Close the database and unlock the folder."""
        with self._lock:
            with suppress(BalancerError), self.using():
                pass
            self._db.close()
            self._guard.close()

    # -- writing -------------------------------------------------------------------------------------

    def add(self, problem: str, kind: str, *payload: object, soon: bool = False) -> None:
        """Write an event down at once, or `soon`: with the next one."""
        self.add_all([as_event(problem, kind, *payload)], soon=soon)

    def add_all(self, events: Sequence[Event], *, soon: bool = False) -> None:
        """Write events down, with those that wait: together or not at all. What cannot be written waits."""
        with self._lock:
            self._later.extend(events)
            if not soon or len(self._later) >= _AT_ONCE:
                with self.using():
                    pass

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, for this thread alone. All events that were added before are committed."""
        with self._lock:
            try:
                if self._later and not self._db.in_transaction:
                    waiting = self._later.copy()
                    with self._all_or_none():
                        self._db.executemany(_INSERT, waiting)
                    self._later.clear()
                yield self._db
            except sqlite3.Error as error:
                advice = "check that the disk has room and run again, or start over with --fresh"
                raise BalancerError(f"{self._folder / DATABASE}: {error}; {advice}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, for this thread alone. The block is one transaction."""
        with self.using() as db, self._all_or_none():
            yield db

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # some errors have already rolled it back
                self._db.execute("ROLLBACK")
            raise

    def replace(self, problem: str, kinds: Sequence[str], events: Sequence[Event] = ()) -> None:
        """Delete the events of `problem` of these kinds, and write others in their place at once."""
        marks = ", ".join("?" * len(kinds))
        with self.transaction() as db:
            db.execute(f"DELETE FROM events WHERE problem = ? AND kind IN ({marks})", (problem, *kinds))
            db.executemany(_INSERT, events)

    # -- reading -------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.using() as db:
            return db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row of a query; None if there is none."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def pages(self, sql: str, start: int = -1) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query page by page: of rows after a number, by their last column. No lock in between."""
        while rows := self.rows(f"{sql} LIMIT {_AT_ONCE}", start):
            yield from rows
            start = rows[-1][-1]

    def of(self, problem: str, *kinds: str) -> list[tuple[str, list[Any]]]:
        """Return kind and payload of the events of `problem` of these kinds, in their order."""
        marks = ", ".join("?" * len(kinds))
        sql = f"SELECT kind, payload FROM events WHERE problem = ? AND kind IN ({marks}) ORDER BY seq"
        return [(kind, json.loads(payload)) for kind, payload in self.rows(sql, problem, *kinds)]

    def last(self, kind: str, problem: str = "") -> list[Any] | None:
        """Return the payload of the last event of a kind; None if there is none."""
        sql = "SELECT payload FROM events WHERE problem = ? AND kind = ? ORDER BY seq DESC LIMIT 1"
        row = self.row(sql, problem, kind)
        return None if row is None else list(json.loads(row[0]))


def lock_folder(folder: Path) -> IO[str]:
    """Lock `folder` against other processes. Return the lock file: closing it, or the end of the process, unlocks.

    Args:
        folder: created if it is missing.

    Raises:
        ConfigError: another process has it, it holds files but no run, its lock is a link, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _belongs_to_others(folder):
            raise ConfigError(f"{folder}: holds files but no earlier run; choose an empty folder with --results")
        guard = _opened(folder / _LOCK)
    except OSError as error:
        if (folder / _LOCK).is_symlink():
            raise _linked(folder / _LOCK) from None
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}; choose other --results") from None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        guard.close()
        busy = isinstance(error, BlockingIOError)
        found = "another run is writing here; wait for it" if busy else f"cannot be locked: {error.strerror};"
        raise ConfigError(f"{folder}: {found} or choose other --results") from None
    return guard


def _opened(lock: Path) -> IO[str]:
    """Open the file `lock`, created if it is missing. Never follows a link, and changes no content."""
    number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return os.fdopen(number, "r")


def _linked(file: Path) -> ConfigError:
    return ConfigError(f"{file}: is a link; a run writes only to its own files; remove it, or choose other --results")


def _belongs_to_others(folder: Path) -> bool:
    """Return whether `folder` has files, but no run. A run replaces reports and cases in its folder."""
    ours = any((folder / name).exists() for name in (_LOCK, DATABASE))
    return not ours and any(not entry.name.startswith(".") for entry in folder.iterdir())


def _opened_database(folder: Path, version: int, *, fresh: bool) -> sqlite3.Connection:
    """Open the database of `folder`, which is locked. With `fresh`, delete the old one first. Raises ConfigError."""
    file = folder / DATABASE
    try:
        for each in (folder / name for name in _DATABASE_FILES):
            if fresh:
                each.unlink(missing_ok=True)  # of a link, only the link
            elif each.is_symlink():
                raise _linked(each)
        db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{file}: {error}; choose other --results") from None
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        new = db.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if not new and db.execute("PRAGMA user_version").fetchone() != (version,):
            db.close()
            raise ConfigError(
                f"{file}: was made by another version of balancer; use that one, or run with --fresh or other --results"
            )
        db.execute(f"PRAGMA user_version = {version}")
        db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        db.close()
        raise ConfigError(f"{file}: {error}; use --fresh, or choose other --results") from None
    return db
