"""Waiting: where callers wait, the leases that nobody can release any more, and the timer of a pool.

An abandoned lease is one that no code can release: only the ledger refers to the object. What can still be released is
an object that something refers to: a variable, a `with` block, a suspended generator, another thread. The check costs
nothing per lease, and is right for leases that another thread releases. docs/decisions/core.md has the reasons.
"""

import inspect
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from balancer.core import Waiter
from balancer.endpoint import Lease, Outcome
from balancer.errors import CallFromWithin, WaitInCoroutine
from balancer.shells.tasks.parking import Spot, spot

if TYPE_CHECKING:
    from balancer.shells.engine import Engine, Hand

__all__ = ["AbandonedLeaseScan", "Alarm", "Gate", "Waits", "abandoned"]

# A caller that waits looks for abandoned leases, first after so long, and then each time after twice as long.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0
_OWN_FRAMES = 4  # between `Waits._gate` and the caller of the engine
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FUNCTION = inspect.CO_NEWLOCALS  # a module's code does not have this flag
_SOONEST_S = 0.001  # so that a clock that stands still, as in tests, does not make the timer spin
_COSTS = 8  # in the long run, at most so many leases are scanned for each acquire that waits
_EVERY_S = 1.0
_GRACE_S = 1.0


class Gate:
    """The place of a thread: a lock of its own."""

    __slots__ = ("_lock",)

    is_over = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, nap_s: float) -> None:
        """Wait, in the thread."""
        self._lock.acquire(timeout=nap_s)

    def wake(self) -> bool:
        """Let the thread go on."""
        try:  # `suppress` is three calls more for every lease that is handed on
            self._lock.release()
        except RuntimeError:
            pass
        return True


class Waits:
    """The callers that wait for the leases of one engine. Iterate over it to get their waiters.

    Args:
        engine: the engine.
        new_gate: makes the place of a thread.

    Attributes:
        core: of the engine.
        places: the waiters by place, until they are woken.
    """

    def __init__(self, engine: "Engine", new_gate: Callable[[], Spot]) -> None:
        self.core = engine.core
        self.places: dict[Spot, Waiter] = {}
        self._engine = engine
        self._new_gate = new_gate
        self._scan = AbandonedLeaseScan()

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self.places.values()))

    # -- one wait ----------------------------------------------------------------------------------

    def _gate(self, waits: bool) -> Spot:
        """Return a place for this thread; `waits`: whether it really waits. Raises CallFromWithin, WaitInCoroutine."""
        # In a signal handler that ran just as this thread had acquired the lock, or was about to release it.
        if self._engine.levels() > 1:
            raise CallFromWithin
        if waits and _in_coroutine(above=_OWN_FRAMES):
            raise WaitInCoroutine
        return self._new_gate()

    def queue(self, hand: "Hand", now: float) -> None:
        """Queue a request for which there is no lease, unless there are abandoned leases. The lock must be held."""
        core, wanted = self.core, hand.wanted
        if self._scan.is_due(len(core.ledger.out), now) and abandoned(core.ledger.out, now):
            return
        deadline_s = now + (self._engine.acquire_timeout_s if wanted.timeout is None else wanted.timeout)
        hand.spot = place = spot() if hand.in_task else self._gate(deadline_s > now)
        wake = partial(self._wake, place)
        hand.waiter = self.places[place] = core.wait(wanted.request, now, deadline_s, wanted.priority, wake)

    def naps(self, hand: "Hand") -> Iterator[float]:
        """Yield the seconds to wait at most at the spot of `hand`, again and again, until its lease is there.

        Between waits, do what is due. The caller may come back earlier, and must if it is woken. The lease may come
        just as time runs out.
        """
        engine = self._engine
        while hand.waiter is None and hand.lease is None:
            self.give_back_abandoned(at_once=True)
            engine.step(_take, hand)
        waiter = hand.waiter
        if waiter is None:
            return
        polls = hand.wanted.polls and hand.wanted.polls(waiter.since_s)
        while polls is not None and polls.at_s < waiter.deadline_s:
            yield from self._naps_until(polls.at_s, waiter)
            if waiter.ended:
                break
            engine.change(partial(polls.look, self.core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter)
        if not waiter.ended:
            engine.change(lambda now: self.core.cancel(waiter, now, timed_out=True))
        self.forget(hand)
        hand.lease, hand.waiter = waiter.lease, None
        if waiter.error is not None:
            raise waiter.error

    def _naps_until(self, until_s: float, waiter: Waiter) -> Iterator[float]:
        left_s, look_s = until_s - self._engine.clock(), _FIRST_LOOK_S
        while not waiter.ended:
            nap_s = min(left_s, look_s)
            if nap_s <= 0:
                return
            yield nap_s
            # In tests the clock may stand still.
            left_s = min(left_s - nap_s, until_s - self._engine.clock())
            if left_s > 0 and not waiter.ended:
                self.give_back_abandoned()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def forget(self, hand: "Hand") -> None:
        """Strike off the place of a caller that waits no more."""
        self.places.pop(hand.spot, None)

    def _wake(self, spot: Spot) -> None:
        """Let the caller at `spot` go on, who has a lease or an error now."""
        if spot.wake():
            self.places.pop(spot, None)  # else the place would keep a loop that nobody else has
        else:
            self._strike_off()

    def _strike_off(self) -> None:
        """End the waits of tasks whose loops have gone, and release the leases that they were granted.

        All at once: else the lease of one would be granted to the next.
        """
        engine = self._engine
        gone = [(at, waiter) for at, waiter in engine.under_lock(lambda: list(self.places.items())) if at.is_over]

        def struck(now: float) -> Sequence[Waiter]:
            ended = [*self.core.cancel_all([one for _, one in gone], now, timed_out=False)]
            for _, waiter in gone:
                if waiter.lease is not None and not waiter.lease.ended:
                    ended += self.core.release(waiter.lease, Outcome.IGNORED, now)
            return ended

        engine.change(struck)
        for at, _ in gone:
            self.places.pop(at, None)

    # -- all waits ---------------------------------------------------------------------------------

    def give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End abandoned leases, if a scan is due or `at_once` is True. Raises CallFromWithin."""
        if at_once or self._scan.is_due(len(self.core.ledger.out), self._engine.clock()):
            self._engine.step(Waits._end_abandoned, self)

    def _end_abandoned(self, now: float) -> Sequence[Waiter]:
        leases = abandoned(self.core.ledger.out, now)
        return self.core.abandon(leases, now) if leases else ()


def _take(hand: "Hand", now: float) -> Sequence[Waiter]:
    return hand.take(now)


def _in_coroutine(above: int) -> bool:
    """Return whether a coroutine is on the call stack, so that its event loop would wait too. O(stack).

    Args:
        above: how many frames above the caller are known to be none; each frame costs half a microsecond.

    Code of a module, such as a cell of a notebook, does not count as part of the coroutine that runs it: it may wait,
    and its kernel with it.
    """
    frame = sys._getframe(1 + above)
    while frame is not None:
        code = frame.f_code
        flags = code.co_flags
        if flags & _COROUTINE:
            return True
        if not flags & _FUNCTION and code.co_name == "<module>":  # the flag is faster to test
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return False


# -- abandoned leases ------------------------------------------------------------------------------


def _references(leases: Iterable[object]) -> Iterable[int]:
    return map(sys.getrefcount, leases)


# The count of references to an object that only a dict refers to. Counting itself adds some.
_NOBODY = max(_references({1: object()}.values())) if hasattr(sys, "getrefcount") else 0


def abandoned(out: Mapping[int, Lease], now: float) -> list[Lease]:
    """Return those of the leases in `out` that are abandoned; O(those in `out`).

    No code can get an abandoned lease again. But if `acquire` returned it, its holder may still release it by its id.
    So such a lease counts only without terms (e.g. a holder), and only a second after its grant. A lease of a block, or
    one that no caller got, counts always: the acquire was cut short, e.g. by an interrupt.
    """
    if not _NOBODY:  # not CPython: reference counts are unknown
        return []
    nobodys = [out[id] for id, count in zip(out, _references(out.values()), strict=True) if count <= _NOBODY]
    return [lease for lease in nobodys if not _may_be_ended_by_id(lease, now)]


def _may_be_ended_by_id(lease: Lease, now: float) -> bool:
    was_taken = hasattr(lease, "taken") and not hasattr(lease, "entered")
    return was_taken and (lease.terms is not None or now - lease.granted_s < _GRACE_S)


class AbandonedLeaseScan:
    """Decides when to scan. A scan costs O(leases out), so only some callers make one."""

    __slots__ = ("_due_s", "_since")

    def __init__(self) -> None:
        self._since = 0
        self._due_s = 0.0

    def is_due(self, out: int, now: float) -> bool:
        """Return whether a caller that found no free slot should scan the `out` leases that are out."""
        self._since += 1
        if self._since * _COSTS < out and now < self._due_s:
            return False
        self._since, self._due_s = 0, now + _EVERY_S
        return True


# -- time ------------------------------------------------------------------------------------------


class Alarm:
    """Calls `ring` in a daemon thread when something is due.

    Args:
        ring: must first ask `rings`, under the lock: another timer may have replaced its own.
        clock: returns seconds; never goes back.
    """

    def __init__(self, ring: Callable[[], object], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._timer: threading.Timer | None = None
        self._due_s = math.inf  # the due time of the current timer

    def arm(self, due_s: float) -> threading.Timer | None:
        """Return a new timer for `due_s`, not started. None if the current one is early enough."""
        if self._timer is not None:
            if due_s >= self._due_s and self._timer.is_alive():
                return None
            self._timer.cancel()
        left_s = max(_SOONEST_S, due_s - self._clock())
        self._timer, self._due_s = threading.Timer(min(left_s, threading.TIMEOUT_MAX), self._ring), due_s
        self._timer.daemon = True
        return self._timer

    def rings(self) -> bool:
        """Return whether the current thread is the timer's. If so, the timer is done, and a new one may be armed.

        False if another timer has replaced it.
        """
        if threading.current_thread() is not self._timer:
            return False
        self._timer = None
        return True

    def cancel(self) -> None:
        """Ring no more, unless it is armed again."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
