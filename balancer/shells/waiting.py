"""How callers wait: threads block on a lock of their own, tasks suspend in their event loops.

During a wait, a waiter checks its deadline, makes retry polls, and looks for abandoned leases. `balancer.shells.tasks`
has a `Spot` for each async library; everything else is the same for threads and tasks.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.errors import CallFromWithin, WaitInCoroutine
from balancer.shells.abandoned import AbandonedLeaseScan, abandoned
from balancer.shells.alarm import Alarm
from balancer.shells.coroutines import in_coroutine
from balancer.shells.logs import log_passed_over
from balancer.strategy import Request

__all__ = ["Asked", "Gate", "Hand", "Spot", "Told", "Waits"]

T = TypeVar("T")
Told = Callable[[Any, None], object]
_NEVER = math.inf  # looked up once
# A waiter looks for abandoned leases, and for free slots that a strategy passed over, first after so long, and then
# each time after twice as long. One thread looks for all tasks, as there may be thousands.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0
_LOOK_AGAIN_S = 1.0  # how often the strategy is asked again, at most, while callers wait
_OWN_FRAMES = 5  # between an act of this module and the caller of the engine


class Asked(NamedTuple):
    """What a caller asks for that waits; see `Engine.acquire`."""

    request: Request
    timeout: float | None
    priority: int
    polls: Callable[[float], RetryPolls] | None


class Hand:
    """What a caller has got so far: its lease, or its waiter and the place of its task."""

    lease: Lease | None = None
    waiter: Waiter | None = None
    at: "Spot | None" = None


class _Steps(Protocol):
    """The part of the engine (`balancer.shells.engine`) that this module calls."""

    core: Core
    clock: Callable[[], float]
    acquire_timeout_s: float

    def step(self, act: Callable[[Any, Any, float], Sequence[Waiter]], first: Any, second: Any) -> None: ...
    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None: ...
    def under_lock(self, act: Callable[[], T]) -> T: ...
    def take(self, request: Request, hand: Hand, now: float) -> Sequence[Waiter]: ...
    def give_back(self, hand: Hand, _: None, now: float) -> Sequence[Waiter]: ...
    def is_inside(self) -> bool: ...
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

    def __init__(self, engine: _Steps, new_gate: Callable[[], Gate]) -> None:
        self._new_gate = new_gate
        self.sleeping: dict[Waiter, None] = {}
        self.parked: dict[Spot, Waiter] = {}
        self.round_s = 0.0
        self._engine = engine
        self._rounds = Alarm(self._look_round, engine.clock)
        self._scan = AbandonedLeaseScan()
        self._look_again_s = -math.inf
        self._told = {""}  # the strategies of which the log has said that they pass over free endpoints

    def __iter__(self) -> Iterator[Waiter]:
        return iter((*self.sleeping, *self.parked.values()))

    # -- one wait ----------------------------------------------------------------------------------

    def in_thread(self, hand: Hand, asked: Asked) -> None:
        """Wait in this thread for a lease, and put it into `hand`."""
        # In a signal handler that ran just as this thread had acquired the lock, or was about to release it.
        if self._engine.is_inside():
            raise CallFromWithin
        gate = self._new_gate()
        gate.acquire(blocking=False)
        waiter = self._queue(hand, asked, partial(_open, gate))
        if waiter is not None:
            self._sleep(waiter, gate, asked.polls and asked.polls(waiter.since_s))
            self._end(waiter, hand)

    async def in_task(self, hand: Hand, asked: Asked, at: Spot) -> None:
        """Wait in this task, at `at`, for a lease, and put it into `hand`."""
        hand.at = at
        waiter = self._queue(hand, asked, at.wake)
        if waiter is not None:
            self.look_for_tasks()
            for nap_s in self.naps(waiter, asked.polls and asked.polls(waiter.since_s), alone=False):
                await at.wait(nap_s)
            self._end(waiter, hand)

    def _queue(self, hand: Hand, asked: Asked, wake: Callable[[], object]) -> Waiter | None:
        """Queue a request. Return its waiter, or None if there was a lease for it after all."""
        self.give_back_abandoned()
        self._engine.step(self._take_or_queue, (asked, wake), hand)
        return hand.waiter

    def _take_or_queue(self, given: tuple[Asked, Callable[[], object]], hand: Hand, now: float) -> Sequence[Waiter]:
        (request, timeout, priority, _), wake = given
        self._engine.take(request, hand, now)
        if hand.lease is not None:
            return ()
        timeout_s = self._engine.acquire_timeout_s if timeout is None else timeout
        if hand.at is None and timeout_s > 0 and in_coroutine(above=_OWN_FRAMES):
            raise WaitInCoroutine
        hand.waiter = waiter = self._engine.core.wait(request, now, now + timeout_s, priority, wake)
        if hand.at is None:
            self.sleeping[waiter] = None
        else:
            self.parked[hand.at] = waiter
        return ()

    def _sleep(self, waiter: Waiter, gate: Gate, polls: RetryPolls | None) -> None:
        for nap_s in self.naps(waiter, polls):
            gate.acquire(timeout=nap_s)

    def _end(self, waiter: Waiter, hand: Hand) -> None:
        """Put the lease of a wait into `hand`, even one that came just as time ran out, or raise the error."""
        self.forget(hand)
        hand.lease, hand.waiter = waiter.lease, None
        if waiter.lease is None:
            assert waiter.error is not None, "a wait ends with a lease or an error"
            raise waiter.error

    def naps(self, waiter: Waiter, polls: RetryPolls | None, *, alone: bool = True) -> Iterator[float]:
        """Yield the seconds to wait at most, again and again, until `waiter` has ended. Between waits, do what is due.

        The caller may come back earlier, and must if `waiter` has ended. `alone`: True if this waiter looks for
        abandoned leases itself.
        """
        engine = self._engine
        while polls is not None and polls.at_s < waiter.deadline_s:
            yield from self._naps_until(polls.at_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
            if waiter.ended:
                return
            engine.change(partial(polls.look, engine.core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
        if not waiter.ended:
            engine.change(lambda now: engine.core.cancel(waiter, now, timed_out=True))

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
                self.look_after_waits()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def forget(self, hand: Hand) -> None:
        """Strike off the waiter of a caller that waits no more."""
        if hand.waiter is not None:
            self.sleeping.pop(hand.waiter, None)
        if hand.at is not None:
            self.parked.pop(hand.at, None)

    # -- all waits ---------------------------------------------------------------------------------

    def look_after_waits(self, *, at_once: bool = False) -> None:
        """Do what nobody does for those who wait if no lease ends: end abandoned leases, ask the strategy again.

        Args:
            at_once: also if neither is due.
        """
        self.give_back_abandoned(at_once=at_once)
        core, now = self._engine.core, self._engine.clock()
        if now < self._look_again_s and not at_once:
            return
        self._look_again_s = now + _LOOK_AGAIN_S
        self._engine.change(core.look_again)
        if core.passed_over not in self._told:
            self._told.add(core.passed_over)
            log_passed_over(core.passed_over)

    def give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End abandoned leases, if a scan is due or `at_once` is True. Raises CallFromWithin."""
        if at_once or self._scan.is_due(len(self._engine.core.ledger.out), self._engine.clock()):
            self._engine.step(self._end_abandoned, None, None)

    def _end_abandoned(self, _: None, __: None, now: float) -> Sequence[Waiter]:
        core = self._engine.core
        leases = abandoned(core.ledger.out, now)
        return core.abandon(leases, now) if leases else ()

    def forget_all(self) -> None:
        """Forget all waiters, in a forked child: they wait in the parent."""
        self.sleeping.clear()
        self.parked.clear()

    def stop(self) -> None:
        """Stop looking for abandoned leases."""
        self._rounds.cancel()

    # -- tasks -------------------------------------------------------------------------------------

    def look_for_tasks(self) -> None:
        """Look for abandoned leases, again and again in a thread, for as long as tasks wait."""
        if not self.round_s:
            self._go_round()

    def strike_off(self) -> None:
        """End the waits of tasks whose loops have gone, and release the leases that they were granted.

        All at once: else the lease of one would be granted to the next.
        """
        engine, hand = self._engine, Hand()
        gone = [(at, waiter) for at, waiter in engine.under_lock(lambda: list(self.parked.items())) if at.is_over]
        cancel = engine.core.cancel
        engine.change(lambda now: [each for _, one in gone for each in cancel(one, now, timed_out=False)])
        for hand.at, hand.waiter in gone:
            engine.change(partial(engine.give_back, hand, None))

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
        self.look_after_waits(at_once=True)
        self._go_round()


def _open(gate: Gate) -> None:
    """Let the thread at `gate` go on. May be called twice."""
    try:  # `suppress` is three calls more for every lease that is handed on
        gate.release()
    except RuntimeError:
        pass
