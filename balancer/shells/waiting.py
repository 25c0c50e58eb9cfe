"""How threads wait for the core, and are woken: one lock around the core, one gate for each waiter, one alarm.

Decides in what order the lock is let go, waiters are woken, the timer is started and observers are told, and what is
made good when an interrupt cuts this short. It must not know how a lease is asked for, nor decide who is next.
"""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from balancer.core import Waiter
from balancer.core.looks import Looks
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, LeaseError, WaitInCoroutine
from balancer.shells.alarm import Alarm
from balancer.shells.callers import place_of_call
from balancer.shells.coroutines import in_coroutine
from balancer.shells.managed import Managed
from balancer.strategy import Request

__all__ = ["Waiting"]

_NEVER = math.inf  # looked up once


class Waiting(Managed):
    """What a pool does around each call of its core: lock, wait, wake, and recover from what cuts it short."""

    _lock: threading.RLock
    _enter: Callable[[], bool]
    _leave: Callable[[], None]
    _sleeping: dict[Waiter, None]
    _alarm: Alarm
    _leak_after_s: float | None

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

    def _recover(self, lease: Lease | None = None) -> None:
        """Serve and wake those who wait, after a call was cut short: by a strategy that raised, or by an interrupt.

        Give back `lease`, which the caller will not get.
        """
        self._let_go()
        with self._lock, suppress(Exception):  # whatever is wrong has been raised already
            self._core.recover(self._clock(), self._sleeping)
        if lease is not None:
            with suppress(LeaseError):
                lease.release(Outcome.IGNORED)
        for waiter in list(self._sleeping):
            if waiter.ended:
                waiter.wake()
        self._delivery.deliver()

    def _see_to(self, lease: Lease) -> None:
        """Do for a lease that was just granted what can wait until the lock is free."""
        if self._leak_after_s is not None:
            lease.where = place_of_call()
        if lease.terms is not None and lease.terms.timed:
            self._attends = True
            self._change(_nothing)  # sees to a timer
        self._delivery.deliver()

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
        self, request: Request, now: float, timeout: float | None, priority: int, looks: Looks | None = None
    ) -> Lease:
        """Queue, let go of the lock, and wait; `looks` are those of a retry."""
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
        if waiter.lease is not None:  # perhaps granted just as time ran out: then it is ours, not lost
            return waiter.lease
        assert waiter.error is not None, "a wait ends with a lease or an error"
        raise waiter.error

    def _wait(self, waiter: Waiter, gate: threading.Lock, looks: Looks | None) -> None:
        """Wait until `waiter` has ended, at its deadline at the latest, and look again when it is time to."""
        if self._attends and not waiter.ended:
            self._change(_nothing)  # sees to a timer
        while looks is not None and looks.at_s < waiter.deadline_s:
            if self._is_opened(waiter, gate, looks.at_s):
                return
            self._change(partial(looks.look, self._core, waiter))
        if waiter.deadline_s == _NEVER:
            if not waiter.ended:
                gate.acquire(timeout=-1)
        elif not self._is_opened(waiter, gate, waiter.deadline_s):
            self._change(lambda now: self._core.cancel(waiter, now, timed_out=True))

    def _is_opened(self, waiter: Waiter, gate: threading.Lock, until_s: float) -> bool:
        """Wait at `gate` until then, if `waiter` still waits. Return whether it has ended."""
        if waiter.ended:
            return True
        left_s = until_s - self._clock()
        # -1 is for ever; TIMEOUT_MAX is not, and on some systems it is only 49 days.
        return left_s > 0 and gate.acquire(timeout=left_s if left_s < threading.TIMEOUT_MAX else -1)

    def _abandon(self, waiter: Waiter) -> None:
        self._change(lambda now: self._core.cancel(waiter, now, timed_out=False))
        if waiter.lease is not None:
            with suppress(LeaseError):  # its time ran out just now
                waiter.lease.release(Outcome.IGNORED)

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


def _nothing(now: float) -> Sequence[Waiter]:
    return ()


def _open(gate: threading.Lock) -> None:
    """Let through who waits at `gate`; to do it twice is no harm."""
    try:  # noqa: SIM105  # `suppress` is three calls more for every lease that is handed on
        gate.release()
    except RuntimeError:
        pass
