"""How callers wait: threads block on a lock of their own, tasks suspend in their event loops.

During a wait, a waiter checks its deadline, makes retry polls, and looks for abandoned leases. `balancer.shells.tasks`
has a `Spot` for each async library; everything else is the same for threads and tasks.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from balancer.core import Core, Waiter
from balancer.core.events import Event
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome
from balancer.errors import CallFromWithin, WaitInCoroutine
from balancer.shells.alarm import Alarm
from balancer.shells.coroutines import in_coroutine
from balancer.shells.delivery import Delivery
from balancer.strategy import Request

__all__ = ["Gate", "Spot", "Told", "Waits", "nothing"]

T = TypeVar("T")
Told = Callable[[Any, None], object]

_NEVER = math.inf  # looked up once
# A waiter looks for abandoned leases, and for free slots that a strategy passed over, first after so long, and then
# each time after twice as long. One thread looks for all tasks, as there may be thousands.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0


class _Engine(Protocol):
    """The part of the engine (`balancer.shells.engine`) that this module calls. All waits are behind its lock."""

    core: Core
    clock: Callable[[], float]
    leave: Callable[[], None]
    free: Callable[[], None]
    levels: Callable[[], int]
    busy: bool
    now: Callable[[], float]
    repaired: Callable[[], float]
    left: deque[tuple[Any, ...]]
    happened: deque[Event]
    delivery: Delivery
    acquire_timeout_s: float

    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None: ...
    def under_lock(self, act: Callable[[], T]) -> T: ...
    def end(self, lease: Lease, outcome: Outcome, now: float) -> Sequence[Waiter]: ...
    def once_more(self, request: Request, now: float) -> tuple[Lease | None, float]: ...
    def look_after_waits(self, *, at_once: bool = False) -> None: ...
    def start(self, timer: threading.Timer) -> None: ...


class Gate(Protocol):
    """Where one thread waits: a lock, or what behaves like one."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait until it is released, or until so many seconds have passed."""
        ...

    def release(self) -> None:
        """Let the thread go on. Raises RuntimeError if it is not waited for."""
        ...


class Spot(ABC):
    """A place where one task waits, until it is woken or a time has passed.

    Args:
        told: called with this place by the waker, once the task is sure to go on.
        lost: called by the waker if the task will never come back.
    """

    __slots__ = ("_is_woken", "_lost", "_told")

    def __init__(self, told: Told, lost: "Callable[[], object]") -> None:
        self._told = told
        self._lost = lost
        self._is_woken = False

    def wake(self) -> None:
        """Let the task go on. Any thread may call this, also twice."""
        if not self._reached():
            self._lost()
        else:
            self._told(self, None)

    @abstractmethod
    async def wait(self, nap_s: float) -> None:
        """Wait, in the task, until it is woken or `nap_s` seconds have passed (inf: no limit)."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True if the task will never come back: it or its event loop has gone."""

    @abstractmethod
    def _reached(self) -> bool:
        """Make the task go on. Return False if its loop no longer runs."""


class Waits:
    """The waiters of one engine. Iterate over it to get them.

    Args:
        engine: as above.
        new_gate: makes the lock at which a thread waits.

    Attributes:
        sleeping: the waiters of threads.
        parked: the waiters of tasks, by place, until they are woken.
        round_s: seconds until the next look for abandoned leases for tasks; 0 while no task waits.
    """

    def __init__(self, engine: _Engine, new_gate: Callable[[], Gate]) -> None:
        self._new_gate = new_gate
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
        """Queue `request`, release the engine's lock, and wait in this thread."""
        engine = self._engine
        # A signal handler that ran just as this thread had acquired the lock: `busy` was not set yet.
        if engine.levels() > 1:
            raise CallFromWithin
        lease, now = engine.once_more(request, now)
        if lease is not None:
            engine.busy = False
            engine.leave()
            return lease
        deadline_s = now + (engine.acquire_timeout_s if timeout is None else timeout)
        if deadline_s > now and in_coroutine(above=2):
            raise WaitInCoroutine
        gate = self._new_gate()
        gate.acquire(blocking=False)
        waiter = engine.core.wait(request, now, deadline_s, priority, partial(_open, gate))
        try:
            self.sleeping[waiter] = None
            engine.busy = False
            engine.leave()
            if engine.happened:
                engine.delivery.deliver()
            self._sleep(waiter, gate, polls and polls(now))
            self.sleeping.pop(waiter, None)
        except BaseException:  # e.g. KeyboardInterrupt: the caller is gone and must not keep a lease
            engine.now = engine.repaired
            try:
                engine.free()
            except RuntimeError:
                pass
            engine.left.append((self.dismiss, waiter, None))
            raise
        # No call here, as an interrupt comes at a call, and there may be no room for one.
        if waiter.lease is not None:  # perhaps granted just as time ran out: then the lease counts
            return waiter.lease
        assert waiter.error is not None, "a wait ends with a lease or an error"
        raise waiter.error

    def naps(self, waiter: Waiter, polls: RetryPolls | None, *, alone: bool = True) -> Iterator[float]:
        """Yield the seconds to wait at most, again and again, until `waiter` has ended. Between waits, do what is due.

        The caller may come back earlier, and must if `waiter` has ended. `alone`: True if this waiter looks for
        abandoned leases itself.
        """
        engine = self._engine
        if (engine.happened or engine.core.due_s < _NEVER) and not waiter.ended:
            engine.change(nothing)  # starts a timer if needed
        while polls is not None and polls.at_s < waiter.deadline_s:
            yield from self._naps_until(polls.at_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
            if waiter.ended:
                return
            engine.change(partial(polls.look, engine.core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
        if not waiter.ended:
            engine.change(lambda now: engine.core.cancel(waiter, now, timed_out=True))

    def _sleep(self, waiter: Waiter, gate: Gate, polls: RetryPolls | None) -> None:
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
            # In tests the clock may stand still.
            left_s = min(left_s - nap_s, until_s - engine.clock())
            if left_s > 0 and not waiter.ended:
                engine.look_after_waits()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def abandon(self, waiter: Waiter, at: Spot | None = None) -> None:
        """Cancel the wait of a caller that is gone, and release a lease that it was granted. It waited at `at`."""
        self._engine.change(partial(self.dismiss, waiter, at))

    def dismiss(self, waiter: Waiter, at: Spot | None, now: float) -> Sequence[Waiter]:
        """As `abandon`, under the lock."""
        engine = self._engine
        ended = engine.core.cancel(waiter, now, timed_out=False)
        if waiter.lease is not None:
            ended = [*ended, *engine.end(waiter.lease, Outcome.IGNORED, now)]
        self.sleeping.pop(waiter, None)
        if at is not None:
            self.parked.pop(at, None)
        return ended

    # -- tasks -------------------------------------------------------------------------------------

    def look_for_tasks(self) -> None:
        """Look for abandoned leases, again and again in a thread, for as long as tasks wait."""
        if not self.round_s:
            self._go_round()

    def strike_off(self) -> None:
        """End the waits of tasks whose loops have gone, and release the leases that they were granted.

        All at once: else the lease of one would be granted to the next.
        """
        core = self._engine.core
        gone = [(at, waiter) for at, waiter in self._engine.under_lock(lambda: list(self.parked.items())) if at.is_over]
        self._engine.change(lambda now: [each for _, one in gone for each in core.cancel(one, now, timed_out=False)])
        for at, waiter in gone:
            self.parked.pop(at, None)
            self.abandon(waiter)

    def forget(self) -> None:
        """Forget all waiters, in a forked child: they wait in the parent."""
        self.sleeping.clear()
        self.parked.clear()

    def stop(self) -> None:
        """Stop looking for abandoned leases."""
        self._rounds.cancel()

    def _go_round(self) -> None:
        engine = self._engine
        round_s = min(2 * self.round_s, _LAST_LOOK_S) if self.round_s else _FIRST_LOOK_S
        timer = engine.under_lock(lambda: self._rounds.arm(engine.clock() + round_s))
        if timer is not None:
            engine.start(timer)
            if timer.ident is None:  # it was not started: the next task that waits tries again
                round_s = 0.0
        self.round_s = round_s

    def _look_round(self) -> None:
        if not self._engine.under_lock(self._rounds.rings):
            return
        if not self.parked:
            self.round_s = 0.0
            return
        self._engine.look_after_waits(at_once=True)
        self._go_round()


def nothing(now: float) -> Sequence[Waiter]:
    """Change nothing. `Engine.change` with this starts a timer if needed."""
    return ()


def _open(gate: Gate) -> None:
    """Let the thread at `gate` go on. May be called twice."""
    try:  # `suppress` is three calls more for every lease that is handed on
        gate.release()
    except RuntimeError:
        pass
