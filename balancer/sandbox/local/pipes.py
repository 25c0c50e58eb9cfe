"""A pipe whose reading end is ours, with a memory of bounded size.

It must not know who writes, nor what it means that somebody wrote too much.
"""

import contextlib
import os
import socket

__all__ = ["BoundedPipe", "BoundedSocket"]

_CHUNK = 2**16  # what a pipe holds by default


class BoundedPipe:
    """A pipe that keeps the first `limit` bytes written to it; at first these are few.

    Args:
        owner: user id that may reopen the writing end (as /dev/stdout), or None for our own.

    Attributes:
        limit: bytes to keep.
        data: what has come so far.
        over: whether more than `limit` bytes came.
        reader, writer: the file descriptors.
    """

    def __init__(self, owner: int | None = None) -> None:
        self.limit = _CHUNK
        self.data = bytearray()
        self.over = False
        self.reader, self.writer = self._ends()
        self._open = [self.reader, self.writer]
        os.set_blocking(self.reader, False)
        if owner is not None:
            os.fchown(self.writer, owner, owner)

    def _ends(self) -> tuple[int, int]:
        return os.pipe()

    def pull(self) -> bool:
        """Take one chunk; return False at the end of the file.

        Raises:
            BlockingIOError: nothing is there now.
        """
        chunk = os.read(self.reader, _CHUNK)
        room = self.limit - len(self.data)
        self.data += chunk[:room]
        self.over = self.over or len(chunk) > room
        return bool(chunk)

    def drain(self) -> None:
        """Take all that is there, up to the limit."""
        with contextlib.suppress(BlockingIOError):
            while not self.over and self.pull():
                pass

    def close_writer(self) -> None:
        """Close our copy of the writing end, so that the reader sees the end of the file."""
        self._close(self.writer)

    def close(self) -> None:
        """Close both ends. May be called twice."""
        for fd in tuple(self._open):
            self._close(fd)

    def _close(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            os.close(fd)


class BoundedSocket(BoundedPipe):
    """The same with a way back: both ends may be read and written. Nobody can open it by a name."""

    def _ends(self) -> tuple[int, int]:
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()

    def pull(self) -> bool:
        """Take one chunk; return False at the end: the other end is gone, perhaps without having heard our answer."""
        try:
            return super().pull()
        except ConnectionResetError:
            return False

    def answer(self, word: bytes) -> None:
        """Say `word` to the other end, if anybody is there still."""
        with contextlib.suppress(OSError):
            os.write(self.reader, word)
