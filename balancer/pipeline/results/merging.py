"""Merge of results folders: the shares of one run, put together in one folder.

Decides what two shares must have in common, and what becomes of each table: nearly all of it belongs to a problem, and
each problem to one share. It must not know what was found.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from balancer.errors import BalancerError, ConfigError
from balancer.pipeline.results.folder import DATABASE
from balancer.pipeline.results.store import Store

__all__ = ["merge"]

_PROBLEM = "problem "  # of a fingerprint: what there is of each package
# What several shares may have found out each for itself.
_SHARED = ("answers", "bad_packages", "bad_rows", "believed")
_NUMBERED = (("sessions", "id"), ("spans", "session"))  # by the order of the sessions
_MOST_NAMED = 3


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
                _copy(db, folder)
        finally:
            db.execute("DETACH DATABASE part")


def _copy(db: sqlite3.Connection, folder: Path) -> None:
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
        columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]
        if columns != [row[1] for row in db.execute(f"PRAGMA part.table_info({table})")]:
            raise BalancerError(
                f"{folder}: its table {table} is of another version; run it again, it runs nothing twice"
            )
        taken = ", ".join(columns)
        if table == "meta":
            continue
        if table == "made_again":
            db.execute(
                "INSERT INTO main.made_again SELECT what, times FROM part.made_again WHERE true"
                " ON CONFLICT (what) DO UPDATE SET times = times + excluded.times"
            )
            continue
        values = [f"{name} + {sessions}" if (table, name) in _NUMBERED else name for name in columns]
        verb = "INSERT OR IGNORE" if table in _SHARED else "INSERT"
        db.execute(f"{verb} INTO main.{table} ({taken}) SELECT {', '.join(values)} FROM part.{table}")
