"""Trace sinks: where rows go while they are written; here, a file of lines.

Decides that lines are written whole and at once, so that a kill leaves at most half a line at the end of the file.
"""

import os
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from balancer.errors import ConfigError
from balancer.observing.traces.rows import line

__all__ = ["LineFile", "Sink", "Unwritten", "cannot_be_written"]


@runtime_checkable
class Sink(Protocol):
    """Where rows go. `write` and `close` are called by one thread at a time, and never under the lock of a pool."""

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep these rows, each as plain data, for good. An error: it could not, and they count as lost."""
        ...

    def close(self) -> None:
        """Be done: there are no more."""
        ...


class Unwritten(OSError):
    """Not all rows could be written; the first `written` of them were."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.written = written


class LineFile:
    """A file, appended to, and made if need be.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file = _opened(Path(path))
        except (OSError, ValueError) as error:  # of a path with a NUL in it: ValueError
            raise cannot_be_written(path, error) from None
        self._is_torn = False  # the last line may be half a line: a disk was full

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a line for each row. Unwritten: the disk is full, or the like."""
        lines = "".join(map(line, rows)).encode()
        if self._is_torn:  # an end for the half line
            lines = b"\n" + lines
        data, was_torn, self._is_torn = memoryview(lines), self._is_torn, True
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise Unwritten(error, max(lines[: len(lines) - len(data)].count(b"\n") - was_torn, 0)) from None
        self._is_torn = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def cannot_be_written(path: object, error: Exception) -> ConfigError:
    """Return the error of a trace at `path` that cannot be begun."""
    said = getattr(error, "strerror", None) or error
    return ConfigError(f"trace: {path}: cannot be written: {said}; choose another path")


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":  # the run before was killed in the middle of a line
        os.write(file, b"\n")
    return file
