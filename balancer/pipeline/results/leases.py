"""Lease table: the leases of a run, summed in the database because there may be millions; and its trace.

Decides which leases are drawn in the report. The trace's own writer writes the trace.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import Any

from balancer.errors import BalancerError
from balancer.judging.pending import RunStage, Span
from balancer.observing.traces.tables import SCHEMA as TRACE_SCHEMA
from balancer.observing.traces.tables import insert_rows
from balancer.pipeline.results.database import Database
from balancer.pipeline.results.run_result import ANSWERS, EndpointTotals, LeaseTotals

__all__ = ["SCHEMA", "Leases", "TraceTables"]

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS spans (
    session INTEGER, endpoint TEXT, problem TEXT, stage TEXT, subject TEXT, case_id INTEGER,
    started_s REAL, ended_s REAL, outcome TEXT);
CREATE INDEX IF NOT EXISTS spans_by_session ON spans (session);
{TRACE_SCHEMA}
"""
_MOST = 20_000  # leases that are drawn

# The slowest run of each stage of a case, summed over the stages.
_CHAIN = """
SELECT MAX(chain_s) FROM (
    SELECT SUM(slowest_s) AS chain_s FROM (
        SELECT problem, case_id, MAX(took_s) AS slowest_s FROM (
            SELECT problem, case_id, stage, subject, SUM(ended_s - started_s) AS took_s FROM spans
            WHERE session = ? GROUP BY problem, case_id, stage, subject)
        GROUP BY problem, case_id, stage)
    GROUP BY problem, case_id)
"""


class Leases:
    """The leases of all sessions of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, session: int, span: Span, began_s: float = 0.0) -> None:
        """Record one lease, soon. `began_s`: when its session began, by the clock of the span."""
        self._db.later(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            session, span.endpoint, span.problem, span.stage.value, span.subject, span.case,
            span.started_s - began_s, span.ended_s - began_s, span.outcome,
        )  # fmt: skip

    def any_of(self, session: int) -> bool:
        """Return whether `session` has run anything."""
        return self._db.row("SELECT 1 FROM spans WHERE session = ? LIMIT 1", session) is not None

    def of(self, session: int, *, one_in: int = 1) -> list[Span]:
        """Return the leases of `session`, or one in `one_in`, in the order of their ends."""
        rows = self._db.rows(
            "SELECT endpoint, problem, stage, subject, case_id, started_s, ended_s, outcome FROM spans"
            " WHERE session = ? AND rowid % ? = 0 ORDER BY ended_s",
            session, one_in,
        )  # fmt: skip
        return [Span(r[0], r[1], RunStage(r[2]), r[3], r[4], r[5], r[6], r[7]) for r in rows]

    def drawn(self, session: int) -> tuple[int, list[Span]]:
        """Return `one_in`, and the leases to draw: one in `one_in`."""
        count = (self._db.row("SELECT COUNT(*) FROM spans WHERE session = ?", session) or (0,))[0]
        one_in = max(1, -(-count // _MOST))
        return one_in, self.of(session, one_in=one_in)

    def work(self, session: int) -> LeaseTotals:
        rows = self._db.rows(
            "SELECT endpoint, COUNT(*), SUM(ended_s - started_s), SUM(outcome IN (?, ?)), MIN(started_s), MAX(ended_s)"
            " FROM spans WHERE session = ? GROUP BY endpoint ORDER BY endpoint",
            *ANSWERS, session,
        )  # fmt: skip
        chain = self._db.row(_CHAIN, session)
        return LeaseTotals(
            {row[0]: EndpointTotals(*row[1:4]) for row in rows},
            min((row[4] for row in rows), default=0.0),
            max((row[5] for row in rows), default=0.0),
            (chain[0] if chain else None) or 0.0,
        )


class TraceTables:
    """The sink of a run's trace: its tables in the run's database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert all rows, or none. Raises OSError if the database fails, e.g. because the disk is full."""
        try:
            with self._db.transaction() as db:
                insert_rows(db, rows)
        except BalancerError as error:  # an error costs the run only these rows
            raise OSError(errno.EIO, str(error)) from error

    def close(self) -> None:
        """Do nothing."""
