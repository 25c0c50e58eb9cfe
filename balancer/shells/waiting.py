"""How callers wait: threads asleep at a lock of their own, tasks parked in their loops.

Decides when whoever waits looks for something: its deadline, a retry poll, leases that nobody has any more. It must not
know how a lease is asked for, nor decide who is next. What a task's library of event loops does for a `Spot` is said in
`balancer.shells.tasks`; all but the waiting itself is the same for threads and tasks.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from balancer.core import Core, Waiter
from balancer.core.events import Event
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome
from balancer.errors import LeaseError, WaitInCoroutine
from balancer.shells.alarm import Alarm
from balancer.shells.coroutines import in_coroutine
from balancer.shells.delivery import Delivery
from balancer.shells.forks import ForkedLock
from balancer.strategy import Request

__all__ = ["Spot", "Told", "Waits", "granted_to", "nothing"]

Told = Callable[[Any, None], object]

_NEVER = math.inf  # looked up once
# Whoever waits looks for leases that nobody has any more, first after so long and then twice as long each time. For
# tasks, which may be thousands, one thread looks.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0


class _Engine(Protocol):
    """What is asked of the engine (`balancer.shells.engine`), behind whose lock all wait."""

    core: Core
    clock: Callable[[], float]
    lock: "threading.RLock | ForkedLock"
    leave: Callable[[], None]
    attends: bool
    happened: deque[Event]
    delivery: Delivery
    acquire_timeout_s: float

    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None: ...
    def once_more(self, request: Request, now: float) -> tuple[Lease | None, float]: ...
    def give_back_abandoned(self, *, at_once: bool = False) -> None: ...
    def start(self, timer: threading.Timer) -> None: ...


class Spot(ABC):
    """A place where one task waits, until it is woken or some seconds have passed.

    Args:
        told: called with this place by whoever wakes it, once the task is sure to hear of it.
        lost: called by whoever wakes it if nobody comes back from here any more.

    Attributes:
        deserted: set where the task has gone without a word, e.g. because it was collected.
    """

    __slots__ = ("_is_woken", "_lost", "_told", "deserted")

    def __init__(self, told: Told, lost: "Callable[[], object]") -> None:
        self._told = told
        self._lost = lost
        self._is_woken = False
        self.deserted = False

    def wake(self) -> None:
        """Let the task go on, from any thread; once is enough, and to do it again is no harm."""
        if self.deserted or not self._reached():
            self._lost()
        else:
            self._told(self, None)

    @abstractmethod
    async def wait(self, nap_s: float) -> None:
        """Wait, in the task, until it is woken or so many seconds have passed (`inf`: any number)."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True if nobody will ever come back from here: the task or its event loop has gone."""

    @abstractmethod
    def _reached(self) -> bool:
        """See to it that the task goes on. Return False if its loop runs no more."""


class Waits:
    """Those who wait for the leases of one engine, which may be iterated over.

    Attributes:
        sleeping: the waiters of threads.
        parked: those of tasks, until they are told.
        round_s: how long until the next look for abandoned leases on behalf of tasks; 0 while no task waits.
    """

    def __init__(self, engine: _Engine) -> None:
        self.sleeping: dict[Waiter, None] = {}
        self.parked: dict[Spot, Waiter] = {}
        self.round_s = 0.0
        self._engine = engine
        self._rounds = Alarm(self._look_round, engine.clock)

    def __iter__(self) -> Iterator[Waiter]:
        return iter((*self.sleeping, *self.parked.values()))

    def in_thread(
        self,
        request: Request,
        now: float,
        timeout: float | None,
        priority: int,
        polls: Callable[[float], RetryPolls] | None = None,
    ) -> Lease:
        """Queue `request`, let go of the engine's lock, and wait in this thread."""
        engine = self._engine
        lease, now = engine.once_more(request, now)
        if lease is not None:
            engine.leave()
            return lease
        deadline_s = now + (engine.acquire_timeout_s if timeout is None else timeout)
        if deadline_s > now and in_coroutine(above=2):
            raise WaitInCoroutine
        gate = threading.Lock()
        gate.acquire()
        waiter = engine.core.wait(request, now, deadline_s, priority, partial(_open, gate))
        try:
            self.sleeping[waiter] = None
            engine.leave()
            if engine.happened:
                engine.delivery.deliver()
            self._sleep(waiter, gate, polls and polls(now))
            self.sleeping.pop(waiter, None)
        except BaseException:  # e.g. KeyboardInterrupt: the caller is gone, and must not keep a lease
            try:
                self.abandon(waiter)
            finally:
                self.sleeping.pop(waiter, None)
            raise
        return granted_to(waiter)

    def naps(self, waiter: Waiter, polls: RetryPolls | None, *, alone: bool = True) -> Iterator[float]:
        """Yield for how many seconds to wait at most, until `waiter` has ended; do in between what there is to do.

        It has ended when there are no more. Whoever waits may come back sooner, and has to if it has ended. `alone`: it
        looks for abandoned leases itself.
        """
        engine = self._engine
        if engine.attends and not waiter.ended:
            engine.change(nothing)  # sees to a timer
        while polls is not None and polls.at_s < waiter.deadline_s:
            yield from self._naps_until(polls.at_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
            if waiter.ended:
                return
            engine.change(partial(polls.look, engine.core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
        if not waiter.ended:
            engine.change(lambda now: engine.core.cancel(waiter, now, timed_out=True))

    def _sleep(self, waiter: Waiter, gate: threading.Lock, polls: RetryPolls | None) -> None:
        for nap_s in self.naps(waiter, polls):
            gate.acquire(timeout=nap_s)

    def _naps_until(self, until_s: float, waiter: Waiter, look_s: float) -> Iterator[float]:
        engine = self._engine
        left_s = until_s - engine.clock()
        while not waiter.ended:
            nap_s = min(left_s, look_s)
            if nap_s <= 0:
                return
            yield nap_s
            # The clock may stand still, as those of tests do.
            left_s = min(left_s - nap_s, until_s - engine.clock())
            if left_s > 0 and not waiter.ended:
                engine.give_back_abandoned()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def abandon(self, waiter: Waiter) -> None:
        """Give up for a caller that is gone, and give back what it was granted."""
        core = self._engine.core
        self._engine.change(lambda now: core.cancel(waiter, now, timed_out=False))
        if waiter.lease is not None:
            with suppress(LeaseError):  # its time ran out just now
                waiter.lease.release(Outcome.IGNORED)

    # -- tasks -------------------------------------------------------------------------------------

    def look_for_tasks(self) -> None:
        """Look for abandoned leases again and again, in a thread of its own, for as long as tasks wait."""
        if not self.round_s:
            self._go_round()

    def strike_off(self) -> None:
        """End the waits of tasks that nobody runs any more, and give back what they were granted: nobody comes for it.

        All of them at once, for each would be granted what the one before it has not come for.
        """
        core = self._engine.core
        with self._engine.lock:
            parked = list(self.parked.items())
        gone = [(at, waiter) for at, waiter in parked if at.is_over]
        self._engine.change(lambda now: [each for _, one in gone for each in core.cancel(one, now, timed_out=False)])
        for at, waiter in gone:
            self.parked.pop(at, None)
            self.abandon(waiter)

    def forget(self) -> None:
        """Forget all, in a forked child: they wait in the parent."""
        self.sleeping.clear()
        self.parked.clear()

    def stop(self) -> None:
        """Look for abandoned leases no more."""
        self._rounds.cancel()

    def _go_round(self) -> None:
        engine = self._engine
        with engine.lock:
            round_s = min(2 * self.round_s, _LAST_LOOK_S) if self.round_s else _FIRST_LOOK_S
            timer = self._rounds.arm(engine.clock() + round_s)
        if timer is not None:
            engine.start(timer)
            if timer.ident is None:  # it was not started, so that the next task that waits tries again
                round_s = 0.0
        self.round_s = round_s

    def _look_round(self) -> None:
        with self._engine.lock:
            if not self._rounds.rings():
                return
            if not self.parked:
                self.round_s = 0.0
                return
        self._engine.give_back_abandoned(at_once=True)
        self._go_round()


def granted_to(waiter: Waiter) -> Lease:
    """Return the lease of a wait that has ended, or raise its error."""
    if waiter.lease is not None:  # perhaps granted just as time ran out: then it is ours, not lost
        return waiter.lease
    assert waiter.error is not None, "a wait ends with a lease or an error"
    raise waiter.error


def nothing(now: float) -> Sequence[Waiter]:
    """Change nothing: for `Engine.change`, which then sees to a timer."""
    return ()


def _open(gate: threading.Lock) -> None:
    """Let through who waits at `gate`; to do it twice is no harm."""
    try:  # noqa: SIM105  # `suppress` is three calls more for every lease that is handed on
        gate.release()
    except RuntimeError:
        pass
