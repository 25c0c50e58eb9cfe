"""SQLite database, used by many threads of one process; and a cache of what was read lately of a problem.

Decides how a statement, or several, are carried out whole, how a failure is told, and how much is remembered: the
problems at work, and some more. It must not know any table.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from balancer.errors import BalancerError
from balancer.pipeline.results.folder import DATABASE, lock_folder, open_database

__all__ = ["Database", "RecentCache"]

Found = TypeVar("Found")

_MOST_RECENT = 64  # problems; one that is read again after that costs a query


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
