"""Output streams of a server: text that nobody reads is left out, so that it stops no thread.

A log line, a warning or a traceback goes to a pipe of a supervisor, or to a terminal. If nobody reads it, a write waits
for ever once it is full, and with it whoever writes: the event loop, or a thread that holds a lock.
"""

import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = ["never_waiting"]

_ROOM = getattr(select, "PIPE_BUF", 512)  # bytes that a write takes at once, if `select` says that it takes some
_lock = threading.RLock()  # for all streams, as two may share a pipe


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` leave out, in the block, what their readers have no room for."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_unblocked, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _unblocked(stream: TextIO) -> TextIO:
    """Return a stream to the same file that never waits, or `stream` itself if it has no file."""
    try:
        file = stream.fileno()
        stream.flush()
    except (AttributeError, OSError, ValueError):  # closed, None, or in memory
        return stream
    return io.TextIOWrapper(
        _Unblocked(file),  # type: ignore[type-var]  # it takes all that it is given, as a buffer does
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Unblocked(io.RawIOBase):
    """Writes to a file what it takes at once, and says later how much was left out."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._left_out = 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def write(self, data: Any) -> int:
        given = bytes(data)
        with _lock:
            notice = b"\n(%d bytes were left out here: nobody read them)\n" % self._left_out
            if self._left_out and not self._put(notice):
                self._left_out = 0
            left = given if self._left_out else self._put(given)
            self._left_out += len(left)
        return len(given)

    def _put(self, data: bytes) -> bytes:
        """Write `data`, and return what is left of it."""
        while data and select.select((), (self._file,), (), 0)[1]:
            try:
                data = data[os.write(self._file, data[:_ROOM]) :]
            except BrokenPipeError:  # the reader has gone
                break
        return data
