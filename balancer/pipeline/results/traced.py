"""The trace of a run, in its database: who asked when, where it went, what was in flight, and what happened besides.

Decides nothing: a trace's writer fills the tables of `balancer.observing.traces.tables`.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import Any

from balancer.errors import BalancerError
from balancer.observing.traces.tables import SCHEMA, insert_rows
from balancer.pipeline.results.database import Database

__all__ = ["SCHEMA", "TraceTables"]


class TraceTables:
    """A sink of a trace. The database is closed by whoever has opened it, after the trace."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put in all of these rows, or none of them. OSError: the database fails, e.g. because the disk is full."""
        try:
            with self._db.transaction() as db:
                insert_rows(db, rows)
        except BalancerError as error:  # costs the run no more than these rows
            raise OSError(errno.EIO, str(error)) from error

    def close(self) -> None:
        """Do nothing."""
