"""Transfer between stores: one problem to another process and back, and the shards of one run into one folder.

Decides which rows belong to a problem, and what two shards must have in common: nearly all belongs to a problem, and
each problem to one shard.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from balancer.errors import BalancerError, ConfigError
from balancer.pipeline.results.database import DATABASE
from balancer.pipeline.results.problems import OF_A_PROBLEM
from balancer.pipeline.results.store import Store

__all__ = ["begin_with", "merge", "part_of", "take_back"]

_KEPT = (*OF_A_PROBLEM, "spans", "liars", "made_again")
"""Of a part; `problems` has the row of its problem as well."""
_WHOLE = ("liars", "made_again")  # they are of no one problem: of a part, whose store has no other one
_PROBLEM = "problem "  # of a fingerprint: what there is of each package
# What several shares may have found out each for itself.
_SHARED = ("answers", "bad_packages", "bad_rows", "believed")
_NUMBERED = (("sessions", "id"), ("spans", "session"))  # by the order of the sessions
_MOST_NAMED = 3


# -- one problem -----------------------------------------------------------------------------------------


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
            _add_made_again(db)
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


# -- a whole run ------------------------------------------------------------------------------------------


def merge(folders: Sequence[Path], into: Path) -> Store:
    """Return the store of `into`, with all that is in `folders`; it is for the caller to close.

    Raises:
        ConfigError: one holds no results, or those of another run; a problem is in two; or `into` holds a run already.
    """
    for number, folder in enumerate(folders):
        if not (folder / DATABASE).exists():
            raise ConfigError(f"{folder}: holds no results; name the folders that the shares of a run have written")
        if folder.resolve() in (into.resolve(), *(other.resolve() for other in folders[:number])):
            raise ConfigError(f"{folder}: is named twice; name each share once, and another folder with --results")
    with ExitStack() as stack:
        parts = [stack.enter_context(Store(folder)) for folder in folders]  # nobody else writes to them meanwhile
        fingerprint = _fingerprint(folders, parts)
        store = Store(into)
        try:
            if store.source:
                raise ConfigError(f"{into}: holds a run already; name an empty folder with --results")
            # The last session says whether all is done, so one that was stopped comes last.
            for folder, _ in sorted(zip(folders, parts, strict=True), key=lambda each: not _is_complete(each[1])):
                _take_in(store, folder)
            store.claim(fingerprint)
            store.describe(parts[0].source)
        except BaseException:
            store.close()
            raise
    return store


def _fingerprint(folders: Sequence[Path], parts: Sequence[Store]) -> dict[str, str]:
    """Return what all have judged together, if it is one run that they have made."""
    together: dict[str, str] = {}
    first: dict[str, str] | None = None
    for folder, part in zip(folders, parts, strict=True):
        if not part.source:
            raise ConfigError(f"{folder}: its run never began; run it again, or leave it out")
        found = part.fingerprint
        common = {key: value for key, value in found.items() if not key.startswith(_PROBLEM)} | part.source
        if first is None:
            first = common
        differs = sorted(key for key in common.keys() | first.keys() if common.get(key) != first.get(key))
        if differs:
            raise ConfigError(
                f"{folder}: is of a run with other {', '.join(differs)} than {folders[0]}; merge the shares of one run"
            )
        together |= found
    return together


def _is_complete(part: Store) -> bool:
    sessions = part.sessions()
    return bool(sessions) and sessions[-1].complete


def _take_in(store: Store, folder: Path) -> None:
    """Copy all that a share has found, or nothing of it."""
    with store.database.using() as db:
        db.execute("ATTACH DATABASE ? AS part", (str(folder / DATABASE),))
        try:
            with store.database.transaction():
                _copy_all(db, folder)
        finally:
            db.execute("DETACH DATABASE part")


def _copy_all(db: sqlite3.Connection, folder: Path) -> None:
    twice = db.execute(
        "SELECT id FROM part.problems WHERE id IN (SELECT id FROM main.problems)"
        " OR number IN (SELECT number FROM main.problems) ORDER BY number"
    ).fetchall()
    if twice:
        named = ", ".join(repr(row[0]) for row in twice[:_MOST_NAMED])
        more = f" and {len(twice) - _MOST_NAMED} more" if len(twice) > _MOST_NAMED else ""
        raise ConfigError(
            f"{folder}: has {named}{more}, as a folder before it has; merge shares, each of other problems"
        )
    (sessions,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM main.sessions").fetchone()
    for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = _columns(db, "main", table)
        if columns != _columns(db, "part", table):
            raise BalancerError(
                f"{folder}: its table {table} is of another version; run it again, it runs nothing twice"
            )
        taken = ", ".join(columns)
        if table == "meta":
            continue
        if table == "made_again":
            _add_made_again(db)
            continue
        values = [f"{name} + {sessions}" if (table, name) in _NUMBERED else name for name in columns]
        verb = "INSERT OR IGNORE" if table in _SHARED else "INSERT"
        db.execute(f"{verb} INTO main.{table} ({taken}) SELECT {', '.join(values)} FROM part.{table}")


def _add_made_again(db: sqlite3.Connection) -> None:
    """Add up the counts of both."""
    db.execute(
        "INSERT INTO main.made_again SELECT what, times FROM part.made_again WHERE true"
        " ON CONFLICT (what) DO UPDATE SET times = times + excluded.times"
    )
