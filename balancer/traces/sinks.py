"""Where the rows of a trace go while they are written: a file of lines.

Decides that lines are written whole and at once, so that a kill leaves at most half a line at the end of the file.
"""

import os
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from balancer.errors import ConfigError
from balancer.traces.rows import line

__all__ = ["LineFile", "Sink"]


@runtime_checkable
class Sink(Protocol):
    """Where rows go. `write` and `close` are called by one thread at a time, and never under the lock of a pool."""

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep these rows, each as plain data, for good. OSError: it could not, and they count as lost."""
        ...

    def close(self) -> None:
        """Be done: there are no more."""
        ...


class LineFile:
    """A file, appended to, and made if need be.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file = _opened(Path(path))
        except OSError as error:
            raise ConfigError(f"trace: {path}: cannot be written: {error.strerror}; choose another path") from None
        self._is_torn = False  # the last line may be half a line: a disk was full

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a line for each row."""
        data = (b"\n" if self._is_torn else b"") + "".join(map(line, rows)).encode()
        self._is_torn = True
        while data:
            data = data[os.write(self._file, data) :]
        self._is_torn = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":  # the run before was killed in the middle of a line
        os.write(file, b"\n")
    return file
