"""Handling of ctrl-C and SIGTERM: as an exception, or as a future of the event loop."""

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
    """Make SIGINT and SIGTERM raise `CommandStopped` in the block. A second signal ends the process at once.

    An ignored signal, e.g. under nohup, stays ignored. Does nothing outside the main thread, which gets no signals.
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
    """Add `note` to a `CommandStopped` that ends the block. The note says what was or was not written."""
    try:
        yield
    except CommandStopped as stopped:
        stopped.add_note(note)
        raise


def told_to_stop() -> "asyncio.Future[int]":
    """Return a future with the number of the first SIGINT or SIGTERM. A second signal ends the process at once.

    For an event loop in the main thread that must end in order: an exception could be raised at any place in it. An
    ignored signal stays ignored.
    """
    import asyncio  # here, because most commands do not need it

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
