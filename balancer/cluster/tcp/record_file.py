"""The coordinator's record in a file, which only one coordinator at a time may use.

It is written to a new file that replaces the old one, so that there is a complete one at any time. One open file is
held in reserve for it, so that it can be written when the process has no other left.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final

from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.grace import dump_record, parse_record
from balancer.cluster.protocol.messages import MemberId
from balancer.errors import ConfigError

__all__ = ["RecordFile", "RecordKeeper"]

_log = logging.getLogger("balancer.serve")

_AGAIN_S: Final = 1.0  # until a record that could not be stored is tried again


class RecordFile:
    """A file with the record of a coordinator, locked while this object is open.

    Args:
        path: of the file; it need not exist.

    Attributes:
        last: the record of the previous coordinator; None: there is none that can be read. The first server, which
            finds neither file nor lock, finds one in which nobody holds a lease.

    Raises:
        ConfigError: another process has it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lock = path.with_name(path.name + ".lock")
        if path.is_dir():
            raise ConfigError(f"--state {path}: is a folder; give --state a file that can be written")
        first = not lock.exists() and not path.exists()
        try:
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            busy = f"{lock}: another server already serves this pool; stop it, or give --state another file"
            raise ConfigError(busy) from None
        except OSError as error:
            raise ConfigError(f"{lock}: {error.strerror}; give --state a file that can be written") from None
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if first:
            with suppress(OSError):  # the server tries it too, and says so
                self.keep(CoordinatorRecord(0, 0.0, frozenset()))
        self.last = _read(path)

    def keep(self, record: CoordinatorRecord) -> None:
        """Write `record` so that it survives a power failure. Raises OSError, with the path; the file is unchanged."""
        text = dump_record(record)
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with open(self._opened(fresh), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self._path)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self._path)) from None
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _opened(self, fresh: Path) -> int:
        """Return the open file. It is for its owner alone: the URL of a drained endpoint may hold a key."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            return os.open(fresh, flags, 0o600)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or self._reserve is None:
                raise
        os.close(self._reserve)
        self._reserve = None
        return os.open(fresh, flags, 0o600)

    def close(self) -> None:
        """Unlock the file for another server."""
        os.close(self._lock)
        if self._reserve is not None:
            os.close(self._reserve)


class RecordKeeper:
    """Stores the coordinator's record whenever it is new, or again after a while if that fails.

    Args:
        keep: stores a record; raises OSError.
        stored: the record that is stored already.
        ttl_s: of this coordinator.

    Attributes:
        stored: the record that the next coordinator would find; None: there is none.
        due_s: when to try again; inf: the newest record is stored.
        trouble: why it is not, in words; "" if it is.
    """

    def __init__(
        self, keep: Callable[[CoordinatorRecord], None], stored: CoordinatorRecord | None, ttl_s: float
    ) -> None:
        self._keep = keep
        self._ttl_s = ttl_s
        self.stored = stored
        self.due_s = inf
        self.trouble = ""

    def store(self, record: CoordinatorRecord, now: float) -> bool:
        """Store `record` if it is new. Return whether it is stored."""
        if record is self.stored:
            return True
        if self.due_s < inf and now < self.due_s:
            return False
        try:
            self._keep(record)
        except OSError as error:
            trouble = f"{error.filename or 'its record'} cannot be written: {error.strerror or error}"
            if trouble != self.trouble and self.stored is not None:
                _log.error("%s; until then nobody new is let in, and those that are known are served", trouble)
            self.trouble, self.due_s = trouble, now + _AGAIN_S
            return False
        if self.trouble:
            _log.warning("the record of the pool is written again, so new processes are let in")
        self.stored, self.trouble, self.due_s = record, "", inf
        return True

    def has(self, who: MemberId) -> bool:
        """Return whether the next coordinator would wait for this member, and long enough."""
        stored = self.stored
        if stored is None or stored.ttl_s < self._ttl_s:
            return False
        return stored.holders is None or who in stored.holders


def _read(path: Path) -> CoordinatorRecord | None:
    try:
        return parse_record(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
