"""SQLite database, used by many threads of one process; and a cache of what was read lately of a problem.

Decides how a statement, or several, are carried out whole, how a failure is told, and how much is remembered: the
problems at work, and some more.

The results folder: whose it is, and how its database is opened. One process at a time has the folder. A folder with
other people's files is left alone, and so is whatever a link in it leads to. A fresh start forgets the database of the
runs before. What the database holds is the store's business.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from balancer.errors import BalancerError, ConfigError

__all__ = ["DATABASE", "Database", "RecentCache", "lock_folder", "open_database"]

Found = TypeVar("Found")

_MOST_RECENT = 64  # problems; one that is read again after that costs a query
DATABASE = "run.sqlite"
_LOCK = "run.lock"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")


class Database:
    """The database of one results folder, which it locks. Thread-safe; one process at a time.

    Args:
        folder: made if it is missing.
        schema: statements that make the tables that are missing.
        fresh: forget what is there.

    Raises:
        ConfigError: another process is using it, it holds files but no run, or it cannot be written.

    Every method raises BalancerError, one line, if the database fails, e.g. because the disk is full.
    """

    def __init__(self, folder: Path, schema: str, *, fresh: bool) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._guard = lock_folder(folder)
        try:
            self._db = open_database(folder, schema, fresh=fresh)
        except BaseException:
            self._guard.close()
            raise

    def close(self) -> None:
        """Close the database and let other processes in."""
        with self._lock:
            self._db.close()
            self._guard.close()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to this thread alone."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                advice = "make sure that the disk has room and run again, or start over with --fresh"
                raise BalancerError(f"{self._folder / DATABASE}: {error}; {advice}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to this thread; all that is done in the block is done, or nothing."""
        with self.using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # some errors have rolled it back already
                    db.execute("ROLLBACK")
                raise

    def do(self, sql: str, *values: object) -> int:
        """Carry out one statement, and return the id of the row that it made, if it did."""
        with self.using() as db:
            return db.execute(sql, values).lastrowid or 0

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self.using() as db:
            return db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row that a query finds."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None


class RecentCache(Generic[Found]):
    """A memory of one thing for each problem, so that a question before each program run costs no query. Thread-safe.

    Args:
        database: whose lock it is.
        load: reads it; the caller must not change what comes.
    """

    def __init__(self, database: Database, load: Callable[[str], Found]) -> None:
        self._db = database
        self._load = load
        self._found: dict[str, Found] = {}

    def of(self, problem: str) -> Found:
        """Return it, read at most once between two calls of `forget`."""
        with self._db.using():
            if problem not in self._found:
                if len(self._found) >= _MOST_RECENT:
                    del self._found[next(iter(self._found))]
                self._found[problem] = self._load(problem)
            return self._found[problem]

    def forget(self, problem: str) -> None:
        """Read it again next time: it has changed."""
        with self._db.using():
            self._found.pop(problem, None)


def lock_folder(folder: Path) -> IO[str]:
    """Return a file that keeps other processes out of `folder` until it is closed, also by the end of the process.

    Args:
        folder: made if it is missing.

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
    """Open the file `lock`, made if it is missing: never through a link, and nothing in it is changed."""
    number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return os.fdopen(number, "r")


def _linked(file: Path) -> ConfigError:
    return ConfigError(f"{file}: is a link, and a run writes to files of its own; remove it, or choose other --results")


def _belongs_to_others(folder: Path) -> bool:
    """Return whether there is something in `folder`, but no run. A run replaces reports and cases in its folder."""
    ours = any((folder / name).exists() for name in (_LOCK, DATABASE))
    return not ours and any(not entry.name.startswith(".") for entry in folder.iterdir())


def open_database(folder: Path, schema: str, *, fresh: bool) -> sqlite3.Connection:
    """Open the database of `folder`, which is locked; without the earlier one if `fresh`. Raises ConfigError."""
    file = folder / DATABASE
    try:
        for each in (folder / name for name in _DATABASE_FILES):
            if fresh:
                each.unlink(missing_ok=True)  # of a link, the link alone
            elif each.is_symlink():
                raise _linked(each)
        db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{file}: {error}; choose other --results") from None
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(schema)
    except sqlite3.Error as error:
        db.close()
        raise ConfigError(f"{file}: {error}; use --fresh, or choose other --results") from None
    return db
