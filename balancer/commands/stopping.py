"""Signal handling: ctrl-C and SIGTERM as an exception, or as a future of the event loop.

Decides what a signal means to a command that does not handle it otherwise.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from balancer.errors import CommandStopped

if TYPE_CHECKING:
    import asyncio

__all__ = ["raising_stopped", "saying", "told_to_stop"]

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


def told_to_stop() -> "asyncio.Future[int]":
    """Return what is done once SIGINT or SIGTERM comes, with its number; a second one ends the process at once.

    For what runs in the event loop of the main thread and has to end in order: an exception would be raised wherever
    the loop happens to be. A signal that is ignored stays so.
    """
    import asyncio  # most commands need none

    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        for each in minded:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        if not stopped.done():
            stopped.set_result(number)

    minded = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for each in minded:
        loop.add_signal_handler(each, stop, each)
    return stopped


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise CommandStopped(128 + number)
