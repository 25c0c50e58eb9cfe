"""Delivery of events to observers: in order, outside the pool's lock, one event at a time.

Decides which thread tells, and what becomes of an observer that raises. A shell: it has a lock of its own, which no
thread ever waits for. A thread that finds another one telling goes its way: that one tells its news as well. So leasing
never waits for an observer, but for the thread whose turn it is to tell. It must not know what events mean.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from balancer.core.events import KINDS, Event

__all__ = ["Delivery", "Observation", "Observer"]


class Observer(Protocol):
    """Hears what happens. An attribute `kinds` says of what it wants to hear; without one it hears of everything.

    It is called outside the pool's lock, by one thread at a time, and may call the pool. What it does is waited for
    by some caller of the pool, so it should be quick. If it raises it hears no more.
    """

    def __call__(self, event: Event, /) -> object:
        """Hear of `event`."""
        ...


class Observation:
    """That an observer hears of a pool, until `end` or the end of a `with` block.

    Attributes:
        observer: what is called.
        kinds: what it hears of.
        ended: True once it hears no more.
    """

    def __init__(
        self, observer: Observer, kinds: Iterable[type[Event]] | None, close: "Callable[[Observation], object]"
    ) -> None:
        if not callable(observer):
            raise TypeError(f"an observer is {observer!r}; it must be callable with an event")
        wanted = getattr(observer, "kinds", KINDS) if kinds is None else kinds
        self.observer = observer
        self.kinds = frozenset(wanted)
        self.ended = False
        self._close = close
        strangers = [kind for kind in self.kinds if kind not in KINDS]
        if strangers:
            raise ValueError(f"kinds holds {strangers[0]!r}, which is no kind of event of balancer.core.events")

    def end(self) -> None:
        """Hear no more, not even of what has happened already. May be called twice."""
        self._close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


class Delivery:
    """Tells the observers of one pool what is in its journal.

    Args:
        happened: the events, oldest first; others append to it meanwhile.
        broken: told of an observer that raised, and what; it hears no more.

    Attributes:
        observations: who hears; replaced, never changed, under the pool's lock.
    """

    def __init__(self, happened: deque[Event], broken: Callable[[Observation, Exception], object]) -> None:
        self.observations: tuple[Observation, ...] = ()
        self._happened = happened
        self._broken = broken
        self._calls: deque[tuple[Observation, Event]] = deque()  # what is left to tell of the event under way
        # Re-entrant, because only then can `_leave_off` tell whether this thread holds it.
        self._turn = threading.RLock()
        self._teller: int | None = None  # the thread whose turn it is

    def deliver(self) -> None:
        """Tell what has happened, unless another thread is at it, which then tells this as well.

        An observer that calls the pool comes here as well: what it brought about is told when it has returned.
        """
        me = threading.get_ident()
        if self._teller == me:
            return
        try:
            # Once more if something happened after the last look, before the turn was over.
            while (self._happened or self._calls) and self._turn.acquire(blocking=False):
                self._teller = me
                while self._calls or self._happened:
                    self._tell()
                self._teller = None
                self._turn.release()
        except BaseException:  # e.g. KeyboardInterrupt: this thread goes, but what is left must be told
            self._leave_off(me)
            raise

    def _tell(self) -> None:
        """Tell one observer of one event."""
        if not self._calls:
            event = self._happened[0]
            calls = deque([(each, event) for each in self.observations if type(event) in each.kinds])
            # No call between these two: an interrupt comes at a call, and finds the event in one place.
            self._calls = calls
            self._happened.popleft()
            return
        observation, event = self._calls.popleft()
        if observation.ended:
            return
        try:
            observation.observer(event)
        except Exception as error:
            self._broken(observation, error)

    def _leave_off(self, me: int) -> None:
        """End this thread's turn, if it has it, and let another thread tell what is left."""
        if self._teller == me:
            self._teller = None
        with suppress(RuntimeError):  # when it is not held, or no longer
            while True:
                self._turn.release()
        if self._happened or self._calls:
            with suppress(RuntimeError):  # no more threads: the next call to the pool tells
                threading.Thread(target=self.deliver, name="tell observers", daemon=True).start()
