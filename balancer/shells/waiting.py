"""The pool's engine: lock the core, wait, wake, and recover from an interrupt.

Decides in what order the lock is let go, waiters are woken, the timer is started and observers are told, and what is
made good when an interrupt cuts this short. It must not know how a lease is asked for, nor decide who is next. Threads
wait here; how a task waits is said in `balancer.shells.tasks`, and all but the waiting itself is the same for both.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from balancer.core import Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, LeaseError, PoolForked, WaitInCoroutine
from balancer.shells.abandoned import AbandonedLeaseScan, abandoned
from balancer.shells.alarm import Alarm
from balancer.shells.callers import place_of_call
from balancer.shells.coroutines import in_coroutine
from balancer.shells.forks import ForkedLock
from balancer.shells.managed import Managed
from balancer.strategy import Request

__all__ = ["ParkedTask", "Waiting", "granted_to"]

_NEVER = math.inf  # looked up once
# Whoever waits looks for leases that nobody has any more, first after so long and then twice as long each time. For
# tasks, which may be thousands, one thread looks.
_FIRST_LOOK_S, _LAST_LOOK_S = 1.0, 8.0


class ParkedTask(Protocol):
    """Where a task waits; see `balancer.shells.tasks.parking`."""

    def wake(self) -> None:
        """Let the task go on."""
        ...

    @property
    def is_over(self) -> bool:
        """True if nobody will ever come back from here: the task or its event loop has gone."""
        ...


class Waiting(Managed):
    """What a pool does around each call of its core: lock, wait, wake, and recover from what cuts it short."""

    _lock: "threading.RLock | ForkedLock"
    _enter: Callable[[], bool]
    _leave: Callable[[], None]
    _sleeping: dict[Waiter, None]
    _places: dict[ParkedTask, Waiter]  # those of tasks, until they are told
    _alarm: Alarm
    _lookout: AbandonedLeaseScan
    _rounds: Alarm
    _round_s: float  # how long until the next one; 0 while no task waits
    _leak_after_s: float | None
    _any: Request  # what most acquires ask for; `ANY` itself if there is nothing to see to after a grant
    _marks: "tuple[Callable[[Lease], object], ...]" = ()

    # -- a call of the core ------------------------------------------------------------------------

    def _change(self, act: Callable[[float], Sequence[Waiter]]) -> None:
        try:
            with self._lock:
                ended = act(self._clock())
                timer = self._arm()
            for waiter in ended:
                waiter.wake()
            if timer is not None:
                self._start(timer)
            if self._happened:
                self._delivery.deliver()
        except BalancerError:  # nothing was changed
            raise
        except BaseException:
            self._recover()
            raise

    def _recover(self, lease: Lease | None = None, outcome: Outcome = Outcome.IGNORED) -> None:
        """Serve and wake those who wait, after a call was cut short: by a strategy that raised, or by an interrupt.

        Give back `lease`, which the caller will not get, or has given back just now.
        """
        self._let_go()
        with self._lock, suppress(Exception):  # whatever is wrong has been raised already
            self._core.recover(self._clock(), {*self._sleeping, *self._places.values()})
            self._core.abandon(abandoned(self._core.ledger.out, math.inf), self._clock())
        if lease is not None:
            with suppress(LeaseError):
                lease.release(outcome)
        for waiter in (*self._sleeping, *self._places.values()):
            if waiter.ended:
                waiter.wake()
        self._delivery.deliver()

    def _give_back_abandoned(self, *, at_once: bool = False) -> None:
        """End the leases that nobody has any more, if it is time to look for them, or `at_once`."""
        with self._lock:
            out = self._core.ledger.out
            now = self._clock()
            found = abandoned(out, now) if at_once or self._lookout.is_due(len(out), now) else ()
        if found:
            self._change(partial(self._core.abandon, found))

    def forked(self, parent: int) -> None:
        """Be of no use, in a forked child: the leases are the parent's, and so are the threads that wait."""
        self._lock = barred = ForkedLock(parent)
        self._enter, self._leave = barred.acquire, barred.release
        self._sleeping.clear()
        self._places.clear()
        self._happened.clear()
        self._delivery.observations = ()

    def _see_to(self, lease: Lease) -> None:
        """Do for a lease that was just granted what can wait until the lock is free."""
        if self._leak_after_s is not None:
            lease.where = place_of_call()
        for mark in self._marks:
            mark(lease)
        if lease.terms is not None and lease.terms.timed:
            self._attends = True
            self._change(_nothing)  # sees to a timer
        self._delivery.deliver()

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease that is granted from now on, in the thread or task that asked for it.

        It is called before whoever asked has the lease, and must neither raise nor end it. What is returned ends this.
        """
        with self._lock:
            self._marks = (*self._marks, mark)
            self._any = Request(terms=self._any.terms)

        def unmark() -> None:
            with suppress(PoolForked), self._lock:
                self._marks = tuple(other for other in self._marks if other is not mark)

        return unmark

    def _leave_and_attend(self, ended: Sequence[Waiter]) -> None:
        """Let go of the lock, and do what there is to do after a call."""
        timer = None if self._core.due_s == math.inf else self._arm()
        self._leave()
        for waiter in ended:
            waiter.wake()
        if timer is not None:
            self._start(timer)
        if self._happened:
            self._delivery.deliver()

    def _let_go_and_tell(self) -> None:
        """Let go of the lock after a call that was refused; time may have done what was due, which is told."""
        self._let_go()
        if self._happened:
            self._delivery.deliver()

    def _let_go(self) -> None:
        """Release the lock if this thread holds it: an exception may come before it has, from a signal."""
        with suppress(RuntimeError):
            self._leave()

    # -- waiting -----------------------------------------------------------------------------------

    def _queue(
        self, request: Request, now: float, timeout: float | None, priority: int, looks: RetryPolls | None = None
    ) -> Lease:
        """Queue, let go of the lock, and wait; `looks` are those of a retry."""
        lease, now = self._once_more(request, now)
        if lease is not None:
            self._leave()
            return lease
        deadline_s = now + (self._timeout_s if timeout is None else timeout)
        if deadline_s > now and in_coroutine(above=2):
            raise WaitInCoroutine
        gate = threading.Lock()
        gate.acquire()
        waiter = self._core.wait(request, now, deadline_s, priority, partial(_open, gate))
        try:
            self._sleeping[waiter] = None
            self._leave()
            if self._happened:
                self._delivery.deliver()
            self._wait(waiter, gate, looks)
            self._sleeping.pop(waiter, None)
        except BaseException:  # e.g. KeyboardInterrupt: the caller is gone, and must not keep a lease
            try:
                self._abandon(waiter)
            finally:
                self._sleeping.pop(waiter, None)
            raise
        return granted_to(waiter)

    def _wait(self, waiter: Waiter, gate: threading.Lock, looks: RetryPolls | None) -> None:
        """Wait at `gate` until `waiter` has ended, at its deadline at the latest."""
        for nap_s in self._naps(waiter, looks):
            gate.acquire(timeout=nap_s)

    def _once_more(self, request: Request, now: float) -> tuple[Lease | None, float]:
        """End the leases that nobody has any more, if it is time to look for them, and ask once more if there were any.

        The lock is held. Return also what time it is then.
        """
        if not (self._lookout.is_due(len(self._core.ledger.out), now) and abandoned(self._core.ledger.out, now)):
            return None, now
        self._leave()
        self._give_back_abandoned(at_once=True)
        self._enter()
        now = self._clock()
        return self._core.acquire(request, now), now

    def _naps(self, waiter: Waiter, looks: RetryPolls | None, *, alone: bool = True) -> Iterator[float]:
        """Yield for how many seconds to wait at most, until `waiter` has ended; do in between what there is to do.

        It has ended when there are no more. Whoever waits may come back sooner, and has to if it has ended. `alone`: it
        looks for forgotten leases itself.
        """
        if self._attends and not waiter.ended:
            self._change(_nothing)  # sees to a timer
        while looks is not None and looks.at_s < waiter.deadline_s:
            yield from self._naps_until(looks.at_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
            if waiter.ended:
                return
            self._change(partial(looks.look, self._core, waiter))
        yield from self._naps_until(waiter.deadline_s, waiter, _FIRST_LOOK_S if alone else _NEVER)
        if not waiter.ended:
            self._change(lambda now: self._core.cancel(waiter, now, timed_out=True))

    def _naps_until(self, until_s: float, waiter: Waiter, look_s: float) -> Iterator[float]:
        left_s = until_s - self._clock()
        while not waiter.ended:
            nap_s = min(left_s, look_s)
            if nap_s <= 0:
                return
            yield nap_s
            # The clock may stand still, as those of tests do.
            left_s = min(left_s - nap_s, until_s - self._clock())
            if left_s > 0 and not waiter.ended:
                self._give_back_abandoned()
                look_s = min(2 * look_s, _LAST_LOOK_S)

    def _abandon(self, waiter: Waiter) -> None:
        self._change(lambda now: self._core.cancel(waiter, now, timed_out=False))
        if waiter.lease is not None:
            with suppress(LeaseError):  # its time ran out just now
                waiter.lease.release(Outcome.IGNORED)

    @property
    def is_inside(self) -> bool:
        """True if this thread is in the midst of a call of the core, as it may be when something is collected."""
        is_owned: bool = self._lock._is_owned()  # type: ignore[union-attr]  # what `threading.Condition` goes by
        return is_owned

    @property
    def has_quotas(self) -> bool:
        """True if some endpoint has a quota; else nobody need count tokens."""
        return self._core.gates.has_quotas

    def _go_round(self) -> None:
        """Look for forgotten leases again and again, in a thread of its own, for as long as tasks wait."""
        with self._lock:
            round_s = min(2 * self._round_s, _LAST_LOOK_S) if self._round_s else _FIRST_LOOK_S
            timer = self._rounds.arm(self._clock() + round_s)
        if timer is not None:
            self._start(timer)
            if timer.ident is None:  # it was not started, so that the next task that waits tries again
                round_s = 0.0
        self._round_s = round_s

    def _look_round(self) -> None:
        with self._lock:
            if not self._rounds.rings():
                return
            if not self._places:
                self._round_s = 0.0
                return
        self._give_back_abandoned(at_once=True)
        self._go_round()

    def _strike_off(self) -> None:
        """End the waits of tasks that nobody runs any more, and give back what they were granted: nobody comes for it.

        All of them at once, for each would be granted what the one before it has not come for.
        """
        with self._lock:
            places = list(self._places.items())
        gone = [(at, waiter) for at, waiter in places if at.is_over]
        self._change(lambda now: [each for _, one in gone for each in self._core.cancel(one, now, timed_out=False)])
        for at, waiter in gone:
            self._places.pop(at, None)
            self._abandon(waiter)

    # -- time --------------------------------------------------------------------------------------

    def _arm(self) -> threading.Timer | None:
        """Return a timer, to be started, for what is due next. None: there is one, or none is needed.

        While nobody waits the next call is early enough, but for leases that are over.
        """
        due_s = self._core.due_s
        if due_s == math.inf or (not self._core.waiting and (due_s := self._core.lapse_s) == math.inf):
            return None
        return self._alarm.arm(due_s)

    def _start(self, timer: threading.Timer) -> None:
        """Start what `_arm` returned. If the machine has no more threads, the next call to the pool tries again."""
        try:
            timer.start()
        except RuntimeError:
            return
        except BaseException:  # e.g. KeyboardInterrupt: this thread goes, but others may wait
            self._change(_nothing)
            raise

    def _tick(self) -> None:
        with self._lock:
            if not self._alarm.rings():
                return
        self._change(lambda now: self._core.tick(now) if now >= self._core.due_s else ())


def granted_to(waiter: Waiter) -> Lease:
    """Return the lease of a wait that has ended, or raise its error."""
    if waiter.lease is not None:  # perhaps granted just as time ran out: then it is ours, not lost
        return waiter.lease
    assert waiter.error is not None, "a wait ends with a lease or an error"
    raise waiter.error


def _nothing(now: float) -> Sequence[Waiter]:
    return ()


def _open(gate: threading.Lock) -> None:
    """Let through who waits at `gate`; to do it twice is no harm."""
    try:  # noqa: SIM105  # `suppress` is three calls more for every lease that is handed on
        gate.release()
    except RuntimeError:
        pass
