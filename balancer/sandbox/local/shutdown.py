"""Graceful shutdown: work is admitted until the shutdown begins, then is told to stop and waited for.

The signal is a file descriptor, so that code that waits for processes and pipes can wait for it as well.
"""

import os
import select
import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from balancer.errors import EndpointError

__all__ = ["GracefulShutdown", "RunAbandoned", "either_readable", "is_readable"]


class RunAbandoned(EndpointError):
    """The run was stopped, because nobody waits for it any more."""


def is_readable(fd: int, within_s: float = 0.0) -> bool:
    """Return whether the file descriptor is readable `within_s` seconds."""
    with selectors.PollSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(within_s))


@contextmanager
def either_readable(one: int | None, other: int | None) -> Iterator[int | None]:
    """Yield a file descriptor that becomes readable when one of the two does; None if both are None."""
    if one is None or other is None:
        yield other if one is None else one
        return
    with select.epoll() as both:
        both.register(one, select.EPOLLIN)
        both.register(other, select.EPOLLIN)
        yield both.fileno()


class GracefulShutdown:
    """Admits work until it is shut. Thread-safe.

    Attributes:
        signal: a file descriptor that becomes readable when it is shut; valid until `close`. Code that reads it without
            being inside must have ended before that, because the number may then belong to another file.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False
        self.signal, self._writer = os.pipe()

    @property
    def is_shut(self) -> bool:
        """Whether no work is admitted any more."""
        return self._shut

    @contextmanager
    def enter(self) -> Iterator[bool]:
        """Admit work for the length of a `with` block; yields False if it is shut."""
        with self._changed:
            admitted = not self._shut
            self._inside += admitted
        try:
            yield admitted
        finally:
            with self._changed:
                self._inside -= admitted
                self._changed.notify_all()

    def shut(self) -> bool:
        """Admit no more work, and wait until all work has left; return False if it was shut before."""
        with self._changed:
            first = not self._shut
            self._shut = True
            if first:
                os.close(self._writer)  # the reader now sees the end of the file
            self._changed.wait_for(lambda: not self._inside)
        return first

    def close(self) -> None:
        """Close the signal. It must be shut, and nothing may read the signal any more. Call it once."""
        os.close(self.signal)
