"""SQLite database of a results folder, for many threads of one process, with a cache of recent problems.

Decides about transactions, batches, errors and the size of the cache. Decides also how the folder is locked and opened.
Only one process uses it at a time. A folder with other files and no run is refused, and links in it are not followed.
A fresh start deletes only the database.
"""

import fcntl
import os
import sqlite3
import threading
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from balancer.errors import BalancerError, ConfigError

__all__ = ["DATABASE", "Database", "RecentCache", "lock_folder", "open_database"]

Found = TypeVar("Found")

_MOST_RECENT = 64  # problems; a further one costs a query
_SOON_S = 0.05  # for which a row waits for others
DATABASE = "run.sqlite"
_LOCK = "run.lock"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")


class Database:
    """The database of one results folder, which it locks. Thread-safe; one process at a time.

    Args:
        folder: created if it is missing.
        schema: statements that create missing tables.
        fresh: delete the existing database first.

    Raises:
        ConfigError: another process uses it, it holds files but no run, another version made it, or it cannot be
            written.

    Every method raises BalancerError, one line, if the database fails, e.g. because the disk is full.
    """

    def __init__(self, folder: Path, schema: str, *, fresh: bool) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._later: deque[tuple[str, tuple[object, ...]]] = deque()
        self._some_wait = threading.Event()
        self._closing = threading.Event()
        self._failed: BalancerError | None = None
        self._writer: threading.Thread | None = None
        self._guard = lock_folder(folder)
        try:
            self._db = open_database(folder, schema, fresh=fresh)
        except BaseException:
            self._guard.close()
            raise

    def close(self) -> None:
        """Write what waits, if it can be written. Close the database and unlock the folder."""
        self._closing.set()
        self._some_wait.set()
        with self._lock:
            with suppress(BalancerError), self.using():
                pass
            self._failed = BalancerError(f"{self._folder / DATABASE}: is closed")
            self._db.close()
            self._guard.close()
        if self._writer is not None:
            self._writer.join()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, for this thread alone. All that `later` was told before is committed."""
        with self._lock:
            try:
                if self._later and not self._db.in_transaction:
                    self._write_batch()
                yield self._db
            except sqlite3.Error as error:
                advice = "check that the disk has room and run again, or start over with --fresh"
                raise BalancerError(f"{self._folder / DATABASE}: {error}; {advice}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, for this thread alone. The block is one transaction."""
        with self.using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # some errors have already rolled it back
                    db.execute("ROLLBACK")
                raise

    def do(self, sql: str, *values: object) -> int:
        """Execute one statement. Return the id of the inserted row, or 0."""
        with self.using() as db:
            return db.execute(sql, values).lastrowid or 0

    def later(self, sql: str, *values: object) -> None:
        """Execute a statement soon, with others: before the next use of the database, or a twentieth of a second later.

        So whatever is read is committed, and a kill loses only rows that nothing has used. The statement must not read
        other tables: equal statements of a batch are executed together. Raises BalancerError if a batch has failed.
        """
        if self._failed is not None:
            raise self._failed
        self._later.append((sql, values))
        if not self._some_wait.is_set():
            self._some_wait.set()
            if self._writer is None:
                self._start_writer()

    def _start_writer(self) -> None:
        with self._lock:
            if self._writer is None and not self._closing.is_set():
                self._writer = threading.Thread(target=self._write_on, name="results", daemon=True)
                self._writer.start()

    def _write_on(self) -> None:
        """Write batches until the database is closed."""
        while True:
            self._some_wait.wait()
            self._closing.wait(_SOON_S)
            self._some_wait.clear()
            if self._closing.is_set():  # looked at last: `close` sets it first, and then what was cleared
                return
            try:
                with self.using():
                    pass
            except BalancerError as error:
                self._failed = error
                return

    def _write_batch(self) -> None:
        """Commit all that waits, or nothing and keep it. For the thread that has the lock."""
        batch: list[tuple[str, tuple[object, ...]]] = []
        by_statement: defaultdict[str, list[tuple[object, ...]]] = defaultdict(list)
        try:
            for _ in range(len(self._later)):
                batch.append(self._later.popleft())
            for sql, values in batch:
                by_statement[sql].append(values)
            self._db.execute("BEGIN IMMEDIATE")
            for sql, many in by_statement.items():
                self._db.executemany(sql, many)
            self._db.execute("COMMIT")
        except BaseException:
            self._later.extendleft(reversed(batch))
            if self._db.in_transaction:  # some errors have already rolled it back
                self._db.execute("ROLLBACK")
            raise

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.using() as db:
            return db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row of a query; None if there is none."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None


class RecentCache(Generic[Found]):
    """A cache of one value for each problem, so that a question before each program run costs no query. Thread-safe.

    Args:
        database: its lock is used.
        load: reads the value; the caller must not change it.
    """

    def __init__(self, database: Database, load: Callable[[str], Found]) -> None:
        self._db = database
        self._load = load
        self._found: dict[str, Found] = {}

    def of(self, problem: str) -> Found:
        """Return the value; it is read at most once between two calls of `forget`."""
        with suppress(KeyError):
            return self._found[problem]
        with self._db.using():
            if problem not in self._found:
                if len(self._found) >= _MOST_RECENT:
                    del self._found[next(iter(self._found))]
                self._found[problem] = self._load(problem)
            return self._found[problem]

    def forget(self, problem: str) -> None:
        """Read the value again next time, because it has changed."""
        with self._db.using():
            self._found.pop(problem, None)


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


def open_database(folder: Path, schema: str, *, fresh: bool) -> sqlite3.Connection:
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
        if not _is_for(db, schema):
            db.close()
            raise ConfigError(
                f"{file}: was made by another version of balancer; use --fresh, or choose other --results"
            )
        db.executescript(schema)
    except sqlite3.Error as error:
        db.close()
        raise ConfigError(f"{file}: {error}; use --fresh, or choose other --results") from None
    return db


def _is_for(db: sqlite3.Connection, schema: str) -> bool:
    """Return whether the tables of `db` are those of `schema`; without tables, note whose they will be."""
    version = zlib.crc32(schema.encode()) & 0x7FFF_FFFF
    if db.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
        return bool(db.execute("PRAGMA user_version").fetchone() == (version,))
    db.execute(f"PRAGMA user_version = {version}")
    return True
