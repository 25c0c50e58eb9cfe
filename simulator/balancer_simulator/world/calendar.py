"""Functions called at an instant, as callbacks of SimPy's timeouts.

A process for each call would take twice the time: SimPy makes two events more for it, and resumes a generator.
"""

from collections.abc import Callable
from typing import TypeVar

from simpy import Environment, Timeout

__all__ = ["after"]

T = TypeVar("T")


def after(env: Environment, delay_s: float, act: Callable[[T], None], argument: T) -> None:
    """Call `act(argument)` in `delay_s` seconds."""
    Timeout(env, delay_s).callbacks.append(lambda _: act(argument))
