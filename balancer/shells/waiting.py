"""How callers wait: threads block on a lock of their own, tasks suspend in their event loops.

During a wait, a waiter checks its deadline, makes retry polls, and looks for abandoned leases. `balancer.shells.tasks`
has a `Spot` for each async library; everything else is the same for threads and tasks.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome
from balancer.errors import CallFromWithin, WaitInCoroutine
from balancer.shells.abandoned import AbandonedLeaseScan, abandoned
from balancer.shells.alarm import Alarm
from balancer.shells.coroutines import in_coroutine
from balancer.shells.logs import log_passed_over
from balancer.shells.spot import Spot
from balancer.shells.tasks.parking import spot
from balancer.strategy import Request

__all__ = ["Gate", "Hand", "Waits"]

T = TypeVar("T")
_NEVER = math.inf  # looked up once
# A waiter looks for abandoned leases, and for free slots that a strategy passed over, first after so long, and then
# each time after twice as long. One thread looks for all tasks, as there may be thousands.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0
_LOOK_AGAIN_S = 1.0  # how often the strategy is asked again, at most, while callers wait
_OWN_FRAMES = 3  # between `Waits.queue` and the caller of the engine


class Hand:
    """What a caller wants, and has got so far. An interrupt leaves it there.

    Attributes:
        timeout: how many seconds to wait at most; None: the pool's default.
        priority: see `balancer.Pool.acquire`.
        in_task: True if a task waits, not a thread.
        lease: its lease, once there is one.
        waiter: its place in the queue, while it waits.
        gate, at: where its thread or its task waits.
    """

    __slots__ = ("at", "gate", "in_task", "lease", "priority", "timeout", "waiter")

    timeout: float | None
    priority: int
    in_task: bool
    lease: Lease | None
    waiter: Waiter | None
    gate: "Gate"
    at: Spot | None


class _Steps(Protocol):
    """The part of the engine (`balancer.shells.engine`) that this module calls."""

    core: Core
    clock: Callable[[], float]
    acquire_timeout_s: float

    def step(
        self, act: Callable[[Any, Any, float], Sequence[Waiter]], first: Any, second: Any, can_wait: bool
    ) -> None: ...
    def change(self, act: Callable[[float], Sequence[Waiter]]) -> None: ...
    def under_lock(self, act: Callable[[], T]) -> T: ...
    def take(self, request: Request, hand: Hand, now: float) -> Sequence[Waiter]: ...
    def end(self, lease: Lease, outcome: Outcome, now: float) -> Sequence[Waiter]: ...
    def levels(self) -> int: ...
    def start(self, timer: threading.Timer) -> None: ...


class Gate(Protocol):
    """Where one thread waits: a lock, or what behaves like one."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait until it is released, or until so many seconds have passed."""
        ...

    def release(self) -> None:
        """Let the thread go on. Raises RuntimeError if it is not waited for."""
        ...


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

    def queue(self, request: Request, hand: Hand, now: float) -> None:
        """Queue a request for which there is no lease, unless there are abandoned leases. The lock must be held."""
        core = self._engine.core
        if self._scan.is_due(len(core.ledger.out), now) and abandoned(core.ledger.out, now):
            return
        deadline_s = now + (self._engine.acquire_timeout_s if hand.timeout is None else hand.timeout)
        if hand.in_task:
            hand.at = at = spot(told=self.parked.pop, lost=self.strike_off)
            hand.waiter = self.parked[at] = core.wait(request, now, deadline_s, hand.priority, at.wake)
            return
        # In a signal handler that ran just as this thread had acquired the lock, or was about to release it.
        if self._engine.levels() > 1:
            raise CallFromWithin
        if deadline_s > now and in_coroutine(above=_OWN_FRAMES):
            raise WaitInCoroutine
        hand.gate = gate = self._new_gate()
        gate.acquire(blocking=False)
        hand.waiter = core.wait(request, now, deadline_s, hand.priority, partial(_open, gate))
        self.sleeping[hand.waiter] = None

    def in_thread(self, request: Request, hand: Hand, polls: Callable[[float], RetryPolls] | None) -> None:
        """Wait in this thread for the lease of a request that `queue` has queued, and put it into `hand`."""
        waiter = self._queued(request, hand)
        if waiter is not None:
            self._sleep(waiter, hand.gate, polls and polls(waiter.since_s))
            self._end(waiter, hand)

    async def in_task(self, request: Request, hand: Hand, polls: Callable[[float], RetryPolls] | None) -> None:
        """As `in_thread`, in this task."""
        waiter = self._queued(request, hand)
        if waiter is not None and hand.at is not None:
            self.look_for_tasks()
            for nap_s in self.naps(waiter, polls and polls(waiter.since_s), alone=False):
                await hand.at.wait(nap_s)
            self._end(waiter, hand)

    def _queued(self, request: Request, hand: Hand) -> Waiter | None:
        """Return the waiter, or None if ending abandoned leases has brought a lease."""
        while hand.waiter is None and hand.lease is None:
            self.give_back_abandoned(at_once=True)
            self._engine.step(self._engine.take, request, hand, False)
        return hand.waiter

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
            self._engine.step(self._end_abandoned, None, None, False)

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
        engine = self._engine
        gone = [(at, waiter) for at, waiter in engine.under_lock(lambda: list(self.parked.items())) if at.is_over]

        def struck(now: float) -> Sequence[Waiter]:
            ended = engine.core.cancel_all([one for _, one in gone], now, timed_out=False)
            granted = [one.lease for _, one in gone if one.lease is not None]
            return [*ended, *(each for lease in granted for each in engine.end(lease, Outcome.IGNORED, now))]

        engine.change(struck)
        for at, _ in gone:
            self.parked.pop(at, None)

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
