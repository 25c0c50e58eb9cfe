"""Things that happen at an instant, on SimPy's own queue of events, without a process for each.

A function is called later, at its instant, and that is all this module knows of it.
"""

from collections.abc import Callable
from typing import TypeVar

from simpy import Environment
from simpy.events import NORMAL, Event

__all__ = ["Entry", "after"]

T = TypeVar("T")


def after(env: Environment, delay_s: float, act: Callable[[T], None], argument: T) -> None:
    """Call `act(argument)` in `delay_s` seconds."""
    env.timeout(delay_s).callbacks.append(lambda _: act(argument))


class Entry(Event):
    """Something that happens again and again, and costs nothing but its place in the queue each time.

    A timeout is a new object for each use, which is half its cost. An entry is in the queue once at most.
    """

    _ok = True  # it has not failed: all that SimPy asks of an event that is due
    _value = None

    def __init__(self, env: Environment) -> None:
        self.env = env

    def happen(self, delay_s: float, acts: list[Callable[[Event], None]]) -> None:
        """Call each of `acts` with this entry in `delay_s` seconds; the list is not changed and may be shared."""
        self.callbacks = acts
        self.env.schedule(self, NORMAL, delay_s)
