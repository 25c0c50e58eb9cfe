"""Delivery of events to observers: in order, outside the pool's lock, one event at a time.

It has a lock that no thread waits for. A thread that finds another one delivering returns at once; the other thread
also delivers its events. So only the delivering thread waits for observers.
"""

import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from balancer.core.events import KINDS, Event

__all__ = ["Delivery", "Observation", "Observer"]


class Observer(Protocol):
    """A function that is called with each event, or with those of its attribute `kinds`, if it has one.

    It is called outside the pool's lock, in one thread at a time, and may call the pool. It must be quick, as some
    caller of the pool waits for it. After an exception it gets no more events.
    """

    def __call__(self, event: Event, /) -> object:
        """Handle `event`."""
        ...


class Observation:
    """The subscription of an observer, until `end` or the end of a `with` block.

    Attributes:
        observer: the function.
        kinds: the kinds of events that it gets.
        ended: True once it gets no more events.
    """

    def __init__(
        self, observer: Observer, kinds: Iterable[type[Event]] | None, close: "Callable[[Observation], object]"
    ) -> None:
        if not callable(observer):
            raise TypeError(f"an observer is {observer!r}; it must be a function that takes an event")
        wanted = getattr(observer, "kinds", KINDS) if kinds is None else kinds
        self.observer = observer
        self.kinds = frozenset(wanted)
        self.ended = False
        self._close = close
        strangers = [kind for kind in self.kinds if kind not in KINDS]
        if strangers:
            raise ValueError(f"kinds has {strangers[0]!r}; it takes only event classes of balancer.core.events")

    def end(self) -> None:
        """End the subscription. Events that are not delivered yet are dropped. May be called twice."""
        self._close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


class Delivery:
    """Delivers the journal of one pool to its observers.

    Args:
        happened: the events, oldest first; other threads append to it.
        broken: called with the observation of an observer that raised, and the error. The observation has ended.

    Attributes:
        observations: the subscriptions. Replaced under the pool's lock, never changed.
    """

    def __init__(self, happened: deque[Event], broken: Callable[[Observation, Exception], object]) -> None:
        self.observations: tuple[Observation, ...] = ()
        self._happened = happened
        self._broken = broken
        self._calls: deque[tuple[Observation, Event]] = deque()  # the calls that are left for the current event
        # Re-entrant, so that `deliver` can tell whether this thread holds it.
        self._turn = threading.RLock()
        self._teller: int | None = None  # the delivering thread
        self._elsewhere = partial(start_new_thread, self.deliver, ())  # needs no room on the stack

    def deliver(self) -> None:
        """Deliver all events, unless another thread is delivering: then that one delivers these too.

        If an observer calls the pool, its new events are delivered after it has returned.
        """
        me = threading.get_ident()
        if self._teller == me:
            return
        try:
            # Again if something happened after the last look and before the lock was released.
            while (self._happened or self._calls) and self._turn.acquire(blocking=False):
                self._teller = me
                while self._calls or self._happened:
                    self._tell()
                self._teller = None
                self._turn.release()
        except BaseException:  # e.g. KeyboardInterrupt: this thread stops, but the rest must be delivered
            # First of all, and without a call of Python code: there may be no room for one.
            if self._teller == me:
                self._teller = None
            try:
                while True:
                    self._turn.release()
            except RuntimeError:  # it does not hold it any more
                pass
            try:
                self._leave_off()
            except (RecursionError, MemoryError):
                self._elsewhere()
            raise

    def _tell(self) -> None:
        if not self._calls:
            event = self._happened[0]
            calls = deque([(each, event) for each in self.observations if type(event) in each.kinds])
            # No call between these two lines: an interrupt comes at a call, so the event is always in exactly one
            # place.
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

    def _leave_off(self) -> None:
        """Let another thread deliver the rest."""
        if self._happened or self._calls:
            with suppress(RuntimeError):  # no more threads: the next call to the pool delivers
                threading.Thread(target=self.deliver, name="tell observers", daemon=True).start()
