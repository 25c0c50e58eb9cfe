"""Parts of a wait: the place of a thread, the leases that nobody can release any more, and the timer of a pool.

An abandoned lease is one that no code can release: only the ledger refers to the object. What can still be released is
an object that something refers to: a variable, a `with` block, a suspended generator, another thread. The check costs
nothing per lease, and is right for leases that another thread releases. docs/decisions/core.md has the reasons.
"""

import inspect
import math
import sys
import threading
from collections.abc import Callable, Iterable, Mapping

from balancer.endpoint import Lease

__all__ = ["AbandonedLeaseScan", "Alarm", "Gate", "abandoned", "in_coroutine"]

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


def in_coroutine(above: int) -> bool:
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
