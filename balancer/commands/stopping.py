"""Handling of ctrl-C and SIGTERM: as an exception, or as a future of the event loop.

An exception that a signal raises may be swallowed: a finaliser swallows all, and some code of others does, above all
while it is imported. So `stoppable` raises again until the exception has left its block.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from balancer.commands.output import print_errors, print_json, wants_json
from balancer.errors import CommandStopped
from balancer.reporting.streams import never_waiting

if TYPE_CHECKING:
    import asyncio

__all__ = ["saying", "stoppable", "told_to_stop"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ALARMS = tuple(each for each in signal.Signals if each.name == "SIGALRM")  # none on Windows: nothing is raised again
_STOPPED = 128  # plus the number of the signal, as in a shell
_AGAIN_S = 0.1  # until it is looked whether an exception was swallowed


def stoppable(act: Callable[[], None]) -> None:
    """Call `act`. If a signal stops it, print a line that says so, with what was or was not written, and exit.

    Exit codes: 130 after SIGINT, 143 after SIGTERM.
    """
    try:
        with _raising_stopped():
            act()
    except CommandStopped as stopped:
        _say_stopped(stopped)
        raise
    except KeyboardInterrupt as stopped:  # raised by a plugin: a signal raises `CommandStopped`
        _say_stopped(stopped)
        sys.exit(_STOPPED + signal.SIGINT)


def _say_stopped(stopped: BaseException) -> None:
    said = "; ".join(["stopped", *getattr(stopped, "__notes__", ())])
    if wants_json():
        print_json({}, errors=[said])
    with never_waiting():  # a server whose output nobody reads ends as well
        print_errors([said])


@contextmanager
def _raising_stopped() -> Iterator[None]:
    """Make SIGINT and SIGTERM raise `CommandStopped` in the block, until it is left. A second signal ends the process.

    An ignored signal, e.g. under nohup, stays ignored. Does nothing outside the main thread, which gets no signals.
    The block has SIGALRM for itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in (*_SIGNALS, *_ALARMS)}
    stop = _Stop()
    hook, sys.unraisablehook = sys.unraisablehook, stop.unraisable
    try:
        for each in _ALARMS:
            signal.signal(each, stop.look)
        for each in _SIGNALS:
            if before[each] is not signal.SIG_IGN:
                signal.signal(each, stop)
        yield
    finally:
        stop.over = True  # first, as a signal may come at each of these lines
        _look_after(0)
        sys.unraisablehook = hook
        for each, handler in before.items():
            signal.signal(each, handler)


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


class _Stop:
    """The handler of the signals, and of the alarm that looks whether the exception is still under way."""

    def __init__(self) -> None:
        self.over = False
        self._code: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._code = _STOPPED + number
        self._raise()

    def look(self, number: int, frame: FrameType | None) -> None:
        """Raise again, unless the block is over or an exception by a signal is being handled."""
        if self._code is None or self.over:
            return
        if _is_handled(sys.exception()):
            _look_after(_AGAIN_S)
        else:
            self._raise()

    def unraisable(self, found: "sys.UnraisableHookArgs") -> None:
        """Keep silent about a `CommandStopped` that a finaliser swallowed, as it is raised again."""
        if not isinstance(found.exc_value, CommandStopped):
            sys.__unraisablehook__(found)

    def _raise(self) -> None:
        _look_after(_AGAIN_S)
        raise CommandStopped(self._code)


def _look_after(seconds: float) -> None:
    """Call `_Stop.look` after `seconds`; 0: never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _is_handled(error: BaseException | None) -> bool:
    """Return whether `error` is, or was raised while handling, a `CommandStopped`: then `finally` blocks run."""
    while error is not None and not isinstance(error, CommandStopped):
        error = error.__context__
    return error is not None
