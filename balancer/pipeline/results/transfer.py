"""Transfer of one problem between stores: to be judged on by another process, and taken back.

Decides which rows belong to a problem. It must not know who judges, nor what was found.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from balancer.errors import BalancerError
from balancer.pipeline.results.problems import OF_A_PROBLEM
from balancer.pipeline.results.store import Store

__all__ = ["begin_with", "part_of", "take_back"]

_KEPT = (*OF_A_PROBLEM, "spans", "liars", "made_again")
"""Of a part; `problems` has the row of its problem as well."""
_WHOLE = ("liars", "made_again")  # they are of no one problem: of a part, whose store has no other one


def part_of(store: Store, problem: str, *, spans: bool = False) -> bytes:
    """Return what `store` knows of `problem`.

    Args:
        spans: what was run as well, and what was found out about endpoints: of a store that has this problem alone.
    """
    with store.database.using() as db, _attached(db) as tables:
        for table in tables:
            columns = ", ".join(_columns(db, "main", table))
            db.execute(f"CREATE TABLE part.{table} AS SELECT {columns} FROM main.{table} WHERE false")
            if table in (*_WHOLE, "spans") and not spans:
                continue
            where, values = _where(table, problem)
            db.execute(f"INSERT INTO part.{table} SELECT {columns} FROM main.{table}{where}", values)
        return db.serialize(name="part")


def begin_with(store: Store, part: bytes) -> None:
    """Put a part into a store that is empty."""
    with store.database.using() as db, _attached(db, part) as tables:
        for table in tables:
            _copy(db, table)


def take_back(store: Store, problem: str, part: bytes, session: int) -> None:
    """Put what was found out of `problem` in the place of what was known; its runs are of `session` of this store.

    Endpoints that lied there are remembered, and all problems that they had a part in are withdrawn.
    """
    with store.database.using() as db, _attached(db, part):
        liars = db.execute("SELECT endpoint, why FROM part.liars").fetchall()
        with store.database.transaction():
            for table in OF_A_PROBLEM:
                db.execute(f"DELETE FROM main.{table} WHERE problem = ?", (problem,))
                _copy(db, table)
            db.execute("UPDATE part.spans SET session = ?", (session,))
            _copy(db, "spans")
            db.execute(
                "INSERT INTO main.made_again SELECT what, times FROM part.made_again WHERE true"
                " ON CONFLICT (what) DO UPDATE SET times = times + excluded.times"
            )
    store.problem_changed(problem)
    known = {liar.endpoint for liar in store.trust.found().liars}
    for endpoint, why in liars:
        if endpoint not in known:
            store.trust.eject(endpoint, why)
    store.trust.withdraw_from_liars(problem)


@contextmanager
def _attached(db: sqlite3.Connection, part: bytes | None = None) -> Iterator[tuple[str, ...]]:
    """Have a part beside the store; yield the names of its tables. Raises BalancerError for one of another version."""
    db.execute("ATTACH DATABASE ':memory:' AS part")
    try:
        if part is not None:
            db.deserialize(part, name="part")
            for table in (*_KEPT, "problems"):
                if _columns(db, "part", table) != _columns(db, "main", table):
                    raise BalancerError(
                        f"a problem came back from a worker with a table {table} of another version; "
                        "install the same balancer on all nodes"
                    )
        yield (*_KEPT, "problems")
    finally:
        db.execute("DETACH DATABASE part")


def _columns(db: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA {schema}.table_info({table})")]


def _copy(db: sqlite3.Connection, table: str) -> None:
    columns = ", ".join(_columns(db, "main", table))
    db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM part.{table}")


def _where(table: str, problem: str) -> tuple[str, tuple[str, ...]]:
    if table in _WHOLE:
        return "", ()
    return f" WHERE {'id' if table == 'problems' else 'problem'} = ?", (problem,)
