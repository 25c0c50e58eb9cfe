"""Event calendar: functions called at an instant, on SimPy's own queue of events.

Queue, order and clock are SimPy's. It avoids SimPy's further costs of each event: an object and a list for each use,
and four calls. SimPy's own loop runs the same entries to the same end.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final, Generic, TypeVar

from simpy import Environment
from simpy.events import NORMAL

__all__ = ["Act", "Entry", "Place", "after", "placer", "run_to"]

T = TypeVar("T")

Act = Callable[[Any], None]

_FIRST: Final = -1
"""Before all that is due at the same instant; SimPy's own priorities are 0 and 1."""


class Entry:
    """A repeated event that costs only its place in the queue each time: `act` is called with it.

    A timeout is a new object for each use, which is half its cost. An entry is in the queue once at most.
    """

    __slots__ = ("act",)

    _ok = True  # it has not failed: SimPy requires no more of a due event
    _value = None

    act: Act

    @property
    def callbacks(self) -> list[Act]:
        """Callbacks for SimPy's own loop; `run_to` is ours."""
        return [self.act]

    @callbacks.setter
    def callbacks(self, nothing: list[Act]) -> None:
        """Let SimPy's loop forget them, in vain: the entry may be used again."""


class _Once(Entry, Generic[T]):
    """A single event."""

    __slots__ = ("argument", "then")

    def __init__(self, then: Callable[[T], None], argument: T) -> None:
        self.act = _do
        self.then = then
        self.argument = argument


Place = Callable[[float, Entry], None]
"""Puts an entry into the queue, due at an instant (s)."""


def placer(env: Environment) -> Place:
    """Return the function that puts entries into the queue of `env`. It knows queue and tickets without a look-up."""
    queue: list[Any] = env._queue
    tickets = env._eid

    def place(at_s: float, entry: Entry) -> None:
        heappush(queue, (at_s, NORMAL, next(tickets), entry))

    return place


def after(env: Environment, delay_s: float, act: Callable[[T], None], argument: T) -> None:
    """Call `act(argument)` in `delay_s` seconds."""
    queue: list[Any] = env._queue
    heappush(queue, (env._now + delay_s, NORMAL, next(env._eid), _Once(act, argument)))


def run_to(env: Environment, at_s: float) -> None:
    """Do as `env.run(until=at_s)`, if all events are entries."""
    queue: list[Any] = env._queue
    end = Entry()
    end.act = _stop
    heappush(queue, (at_s, _FIRST, next(env._eid), end))
    try:
        while True:  # the queue holds the end until this stops
            env._now, _, _, entry = heappop(queue)
            act = entry.act  # first into a variable: Python 3.11 is slow to call an attribute that is not a method
            act(entry)
    except _Stop:
        return


class _Stop(BaseException):
    """Marks the end of a run."""


def _stop(_: Entry) -> None:
    raise _Stop


def _do(once: _Once[Any]) -> None:
    once.then(once.argument)
