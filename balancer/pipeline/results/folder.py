"""The results folder: whose it is, and how its database is opened.

One process at a time has the folder. A folder with other people's files is left alone, and so is whatever a link in it
leads to. A fresh start forgets the database of the runs before. What the database holds is the store's business.
"""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from balancer.errors import ConfigError

__all__ = ["DATABASE", "lock_folder", "open_database"]

DATABASE = "run.sqlite"
_LOCK = "run.lock"
_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")


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
