"""The results folder: whose it is, and how its database is opened.

One process at a time has the folder. A folder with other people's files is left alone, and a fresh start forgets the
database of the runs before. What the database holds is the store's business.
"""

import fcntl
import sqlite3
from pathlib import Path
from typing import IO

from balancer.errors import ConfigError

__all__ = ["DATABASE", "lock_folder", "open_database"]

DATABASE = "run.sqlite"
_LOCK = "run.lock"


def lock_folder(folder: Path) -> IO[str]:
    """Return a file that keeps other processes out of `folder` until it is closed, also by the end of the process.

    Args:
        folder: made if it is missing.

    Raises:
        ConfigError: another process has it, it holds files but no run, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _belongs_to_others(folder):
            raise ConfigError(f"{folder}: holds files but no earlier run; choose an empty folder with --results")
        guard = (folder / _LOCK).open("w")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}; choose other --results") from None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        guard.close()
        busy = isinstance(error, BlockingIOError)
        found = "another run is writing here; wait for it" if busy else f"cannot be locked: {error.strerror};"
        raise ConfigError(f"{folder}: {found} or choose other --results") from None
    return guard


def _belongs_to_others(folder: Path) -> bool:
    """Return whether there is something in `folder`, but no run. A run replaces reports and cases in its folder."""
    ours = any((folder / name).exists() for name in (_LOCK, DATABASE))
    return not ours and any(not entry.name.startswith(".") for entry in folder.iterdir())


def open_database(folder: Path, schema: str, *, fresh: bool) -> sqlite3.Connection:
    """Open the database of `folder`, which is locked; without the earlier one if `fresh`. Raises ConfigError."""
    file = folder / DATABASE
    try:
        if fresh:
            for ending in ("", "-wal", "-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)
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
