"""A signal stops a command even where an exception is swallowed, and clean-up is not cut short by it."""

import os
import signal
import sys
import threading
import time

import pytest

from balancer.commands.stopping import stoppable
from balancer.errors import CommandStopped
from tests.patience import PATIENCE_S

_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Finaliser:
    """Gets the signal in its finaliser, where Python swallows every exception."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        threading.Event().wait(0)  # here it is heard, at the latest


def _in_a_finaliser(number: signal.Signals) -> None:
    Finaliser(number)


def _in_code_that_catches_all(number: signal.Signals) -> None:
    try:
        os.kill(os.getpid(), number)
        threading.Event().wait(PATIENCE_S)
    except BaseException:
        pass


def _work() -> None:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        time.sleep(0.01)


@pytest.mark.parametrize("number", _SIGNALS)
@pytest.mark.parametrize("swallow", [_in_a_finaliser, _in_code_that_catches_all])
def test_what_is_swallowed_is_raised_again(swallow, number, capsys):
    before = [signal.getsignal(each) for each in (*_SIGNALS, signal.SIGALRM)], sys.unraisablehook

    def act() -> None:
        swallow(number)
        _work()
        raise AssertionError("the signal was lost")

    with pytest.raises(CommandStopped) as stopped:
        stoppable(act)
    assert stopped.value.code == 128 + number
    assert capsys.readouterr() == ("", "balancer: stopped\n")
    assert before == ([signal.getsignal(each) for each in (*_SIGNALS, signal.SIGALRM)], sys.unraisablehook)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_clean_up_is_not_cut_short():
    """Not while the exception is handled, nor while another one is that came of it."""
    cleaned = []

    def act() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            _work()
        finally:
            time.sleep(0.3)  # longer than it takes until it is looked whether the exception was swallowed
            try:
                raise KeyError("of the clean-up")
            except KeyError:
                time.sleep(0.3)
            cleaned.append(True)

    with pytest.raises(CommandStopped):
        stoppable(act)
    assert cleaned


def test_a_command_that_was_not_stopped_is_not_looked_at():
    def act() -> None:
        signal.raise_signal(signal.SIGALRM)

    stoppable(act)
