"""Claim of a label: at most one process of this machine keeps the instances of a label at once.

An owner destroys what it finds with its label and does not know. So two owners of one label would destroy each other's
instances. The system releases the lock of a process that dies. On Windows there is no such lock.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from balancer.errors import ConfigError

__all__ = ["Claim"]

_PLAIN = re.compile(r"[^A-Za-z0-9.@-]")


class Claim:
    """A lock on a file in the system's folder for temporary files, held until `close`.

    Raises:
        ConfigError: another process holds it, or the file cannot be made.
    """

    def __init__(self, account: str, label: str) -> None:
        self._file: int | None = None
        if sys.platform == "win32":
            return
        import fcntl  # not on every system

        folder = Path(tempfile.gettempdir()) / f"balancer-accounts-{os.getuid()}"
        path = folder / f"{_PLAIN.sub('_', label)}.lock"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigError(
                f"account {account}: another pool of this machine has instances with the label {label!r}; share that "
                "pool (balancer serve), or give this account another label"
            ) from None
        except OSError as error:
            self.close()
            raise ConfigError(f"account {account}: {path}: {error.strerror}; remove what is there") from None

    def close(self) -> None:
        """Let another process have the label. May be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
