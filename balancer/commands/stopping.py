"""Ctrl-C and SIGTERM as an exception, so that a command puts away what it has begun before it ends.

Decides what a signal means to a command that does not handle it otherwise. It must not know any command.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from balancer.errors import CommandStopped

__all__ = ["raising_stopped", "saying"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def raising_stopped() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise `CommandStopped` in the block; a second one ends the process at once.

    A signal that is ignored, e.g. under nohup, stays so. Does nothing outside the main thread, which gets no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each in _SIGNALS:
        if before[each] is not signal.SIG_IGN:
            signal.signal(each, _stop)
    try:
        yield
    finally:
        for each in _SIGNALS:
            signal.signal(each, before[each])


@contextmanager
def saying(note: str) -> Iterator[None]:
    """Add `note`, what became of the work, to a `CommandStopped` that ends the block."""
    try:
        yield
    except CommandStopped as stopped:
        stopped.add_note(note)
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise CommandStopped(128 + number)
