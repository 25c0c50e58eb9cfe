"""Transfer between stores: one problem to another process and back, and the shards of a run into one folder.

Decides which rows belong to a problem, and what two shards must have in common. Nearly every row belongs to a problem,
and each problem to one shard.
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
"""Tables of a part, beside the row of its problem in `problems`."""
_WHOLE = ("liars", "made_again")  # of no single problem: part of a store with one problem only
_PROBLEM = "problem "  # keys of a fingerprint that describe one package
# Tables whose rows several shards may have found independently.
_SHARED = ("answers", "bad_packages", "bad_rows", "believed")
_NUMBERED = (("sessions", "id"), ("spans", "session"))  # numbered by session
_MOST_NAMED = 3


# -- one problem -----------------------------------------------------------------------------------------


def part_of(store: Store, problem: str, *, spans: bool = False) -> bytes:
    """Return the part of `store` that belongs to `problem`.

    Args:
        store: of the run.
        problem: its id.
        spans: with the leases and the findings about endpoints; only for a store with this problem alone.
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
    """Copy a part into an empty store."""
    with store.database.using() as db, _attached(db, part) as tables:
        for table in tables:
            _copy(db, table)


def take_back(store: Store, problem: str, part: bytes, session: int, taken_s: float) -> None:
    """Replace the rows of `problem` by those of a part. Its leases count for `session` of this store.

    The part's times count from when the worker took the problem: `taken_s` seconds after the session began.
    Endpoints that lied there are recorded, and all problems that they had a part in are withdrawn.
    """
    with store.database.using() as db, _attached(db, part):
        liars = db.execute("SELECT endpoint, why FROM part.liars").fetchall()
        with store.database.transaction():
            for table in OF_A_PROBLEM:
                db.execute(f"DELETE FROM main.{table} WHERE problem = ?", (problem,))
                _copy(db, table)
            moved = "started_s = started_s + ?, ended_s = ended_s + ?"
            db.execute(f"UPDATE part.spans SET session = ?, {moved}", (session, taken_s, taken_s))
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
    """Attach a part to the database, and yield the names of its tables. Raises BalancerError for another version."""
    db.execute("ATTACH DATABASE ':memory:' AS part")
    try:
        if part is not None:
            db.deserialize(part, name="part")
            for table in (*_KEPT, "problems"):
                if _columns(db, "part", table) != _columns(db, "main", table):
                    raise BalancerError(
                        f"a worker returned a table {table} of another version; install the same balancer on all nodes"
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
    """Return the store of `into`, with the content of all `folders`. The caller closes it.

    Raises:
        ConfigError: a folder has no results, or those of another run; a problem is in two; or `into` has a run.
    """
    for number, folder in enumerate(folders):
        if not (folder / DATABASE).exists():
            raise ConfigError(f"{folder}: holds no results; name the results folders of the shares of a run")
        if folder.resolve() in (into.resolve(), *(other.resolve() for other in folders[:number])):
            raise ConfigError(f"{folder}: is named twice; name each share once, and a different folder with --results")
    with ExitStack() as stack:
        parts = [stack.enter_context(Store(folder)) for folder in folders]  # locked against other processes
        fingerprint = _fingerprint(folders, parts)
        store = Store(into)
        try:
            if store.source:
                raise ConfigError(f"{into}: already holds a run; name an empty folder with --results")
            # The last session tells whether all is done, so a stopped one comes last.
            for folder, _ in sorted(zip(folders, parts, strict=True), key=lambda each: not _is_complete(each[1])):
                _take_in(store, folder)
            store.claim(fingerprint)
            store.describe(parts[0].source)
        except BaseException:
            store.close()
            raise
    return store


def _fingerprint(folders: Sequence[Path], parts: Sequence[Store]) -> dict[str, str]:
    """Return the fingerprint of all shards together. Raises ConfigError if they are not of one run."""
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
                f"{folder}: belongs to a run with other {', '.join(differs)} than {folders[0]}; merge the shares of "
                "one run"
            )
        together |= found
    return together


def _is_complete(part: Store) -> bool:
    sessions = part.sessions()
    return bool(sessions) and sessions[-1].complete


def _take_in(store: Store, folder: Path) -> None:
    """Copy the whole content of a shard, or nothing."""
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
        raise ConfigError(f"{folder}: has {named}{more}, like an earlier folder; merge shares with different problems")
    (sessions,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM main.sessions").fetchone()
    for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = _columns(db, "main", table)
        if columns != _columns(db, "part", table):
            raise BalancerError(
                f"{folder}: its table {table} is of another version; run it again (finished work is not repeated)"
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
    db.execute(
        "INSERT INTO main.made_again SELECT what, times FROM part.made_again WHERE true"
        " ON CONFLICT (what) DO UPDATE SET times = times + excluded.times"
    )
