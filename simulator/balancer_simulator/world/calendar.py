"""Event calendar: functions called at an instant, on SimPy's own queue of events.

Queue, order and clock are SimPy's. It avoids SimPy's further costs of each event: an object and a list for each use,
and four calls. SimPy's own loop runs the same entries to the same end.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final, Generic, TypeVar

from simpy import Environment
from simpy.events import NORMAL, Event

__all__ = ["Entry", "after", "run_to"]

T = TypeVar("T")

Act = Callable[[Any], None]

_FIRST: Final = -1
"""Before all that is due at the same instant; SimPy's own priorities are 0 and 1."""


class Entry(Event):
    """A repeated event that costs only its place in the queue each time.

    A timeout is a new object for each use, which is half its cost. An entry is in the queue once at most.
    """

    _ok = True  # it has not failed: SimPy requires no more of a due event
    _value = None

    act: Act

    def __init__(self, env: Environment) -> None:
        self.env = env

    def happen(self, delay_s: float, act: Act) -> None:
        """Call `act` with this entry in `delay_s` seconds."""
        self.act = act
        env = self.env
        heappush(env._queue, (env._now + delay_s, NORMAL, next(env._eid), self))

    @property
    def callbacks(self) -> list[Act]:
        """Callbacks for SimPy's own loop; `run_to` is ours."""
        return [self.act]

    @callbacks.setter
    def callbacks(self, nothing: list[Act]) -> None:
        """Let SimPy's loop forget them, in vain: the entry may be used again."""


class _Once(Entry, Generic[T]):
    """A single event."""

    def __init__(self, env: Environment, then: Callable[[T], None], argument: T) -> None:
        self.env = env
        self.then = then
        self.argument = argument


def after(env: Environment, delay_s: float, act: Callable[[T], None], argument: T) -> None:
    """Call `act(argument)` in `delay_s` seconds."""
    _Once(env, act, argument).happen(delay_s, _do)


def run_to(env: Environment, at_s: float) -> None:
    """Do as `env.run(until=at_s)`, if all events are entries."""
    queue: list[tuple[float, int, int, Any]] = env._queue  # type: ignore[assignment]  # of entries
    end = Entry(env)
    end.act = _stop
    heappush(queue, (at_s, _FIRST, next(env._eid), end))
    try:
        while True:  # the queue holds the end until this stops
            env._now, _, _, entry = heappop(queue)
            entry.act(entry)
    except _Stop:
        return


class _Stop(BaseException):
    """Marks the end of a run."""


def _stop(_: Entry) -> None:
    raise _Stop


def _do(once: _Once[Any]) -> None:
    once.then(once.argument)
