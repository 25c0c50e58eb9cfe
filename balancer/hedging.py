"""Run a slow call a second time, elsewhere, and take whichever answer comes first.

Decides when the second one starts and what becomes of the loser. It must not know pools, budgets or retries: it is
given a lease, and a way to get another.

A thread cannot be stopped from outside. So a call that is cancelled loses its lease at once, and that is how it can
tell: `lease.ended` is true. It may go on to its end, in a thread that nobody waits for; what it returns or raises then
is dropped. Until it ends its endpoint does a call more than the pool knows of.
"""

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from balancer.endpoint import Lease, Outcome, outcome_of

__all__ = ["hedged"]

T = TypeVar("T")


def hedged(fn: Callable[[Lease], T], lease: Lease, *, after_s: float, another: Callable[[], Lease | None]) -> T:
    """Return `fn(lease)` or, if that takes longer than `after_s` seconds, what it or `fn(another())` returns first.

    Args:
        fn: the call, which must be idempotent; it runs in a thread of its own.
        lease: ends with this call, whatever happens.
        after_s: seconds before the second one starts.
        another: returns the lease for it, without waiting, or None if there is none to be had.

    Raises:
        Exception: what `fn` raised: at once if it was not the endpoint's fault, else when both have failed.
    """
    ended: SimpleQueue[_Leg[T]] = SimpleQueue()
    legs = [_Leg(fn, lease, ended)]
    try:
        legs[0].start()
        first = _soon(ended, after_s)
        if first is None and (second := another()) is not None:
            legs.append(_Leg(fn, second, ended))
            legs[1].start()
        for left in reversed(range(len(legs))):
            leg = first or ended.get()
            first = None
            if leg.error is None:
                return leg.value
            if not left or outcome_of(leg.error) is Outcome.IGNORED:
                raise leg.error
        raise AssertionError("the last leg returns or raises")
    finally:
        for leg in legs:
            leg.cancel()


class _Leg(Generic[T]):
    """One of the two runs. Its lease is ended once, by its own thread or by whoever cancels it.

    Attributes:
        value, error: what came of it, once it is in the queue.
    """

    value: T

    def __init__(self, fn: Callable[[Lease], T], lease: Lease, ended: "SimpleQueue[_Leg[T]]") -> None:
        self.error: BaseException | None = None
        self._fn = fn
        self._lease = lease
        self._ended = ended
        self._right_to_end = threading.Lock()

    def start(self) -> None:
        name = f"hedged-{self._lease.id}"
        # A daemon: a loser that hangs must not keep the process alive.
        threading.Thread(target=copy_context().run, args=(self._run,), name=name, daemon=True).start()

    def cancel(self) -> None:
        """End its lease if it is still out: neither a success nor a failure of the endpoint."""
        if self._right_to_end.acquire(blocking=False):
            self._lease.release(Outcome.IGNORED)

    def _run(self) -> None:
        try:
            self.value = self._fn(self._lease)
        except BaseException as error:  # it is raised in the thread that waits
            self.error = error
        try:
            self._end(self.error)
        except BaseException as error:  # e.g. fn gave the lease back itself
            self.error = error
        self._ended.put(self)

    def _end(self, error: BaseException | None) -> None:
        if self._right_to_end.acquire(blocking=False):
            self._lease.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


def _soon(ended: "SimpleQueue[_Leg[T]]", within_s: float) -> "_Leg[T] | None":
    try:
        return ended.get(timeout=min(within_s, threading.TIMEOUT_MAX))
    except Empty:
        return None
