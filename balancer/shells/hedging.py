"""Hedged calls in threads: run a slow call a second time, elsewhere, and take the first answer.

Decides when the second one starts and what becomes of the loser. It must not know pools, budgets or retries: it is
given a lease, a way to get another, and somebody to tell of a loser that fails.

A thread cannot be stopped from outside. So a call that is cancelled loses its lease at once, and that is how it can
tell: `lease.ended` is true. It may go on to its end, in a thread that nobody waits for; what it returns then is
dropped, and of what it raises only that it is the endpoint's fault is told. Until it ends its endpoint does a call
more than the pool knows of.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from balancer.endpoint import Lease, Outcome, may_go_elsewhere, outcome_of
from balancer.errors import LeaseError

__all__ = ["HedgedAttempt", "hedged"]

T = TypeVar("T")


def hedged(
    fn: Callable[[Lease], T],
    hand: list[Lease],
    *,
    after_s: float,
    another: Callable[[], object],
    failed_late: Callable[[Lease], object],
) -> T:
    """Return `fn(lease)` or, if that takes longer than `after_s` seconds, what it or a second one returns first.

    Args:
        fn: the call, which must be idempotent; it runs in a thread of its own, if the machine has one left.
        hand: holds the lease. It is taken out, and ends with this call, whatever happens.
        after_s: seconds before the second one starts.
        another: puts a lease for it into `hand`, without waiting, if there is one to be had.
        failed_late: is told, by the thread of a call that was cancelled, of its lease if it fails by its endpoint's
            fault after all. What it raises is dropped.

    Raises:
        Exception: what `fn` raised: at once if it was the caller's own, else when both have failed.
    """
    ended: SimpleQueue[_Leg[T]] = SimpleQueue()
    legs: list[_Leg[T]] = []
    try:
        legs.append(_Leg(fn, hand[0], ended, failed_late))
        hand.clear()
        if not legs[0].start():
            legs[0].run()
        first = _soon(ended, after_s)
        if first is None and another():
            legs.append(_Leg(fn, hand[0], ended, failed_late))
            hand.clear()
            if not legs[1].start():
                legs.pop().cancel()
        for left in reversed(range(len(legs))):
            leg = first or ended.get()
            first = None
            if leg.error is None:
                return leg.value
            if not left or not may_go_elsewhere(leg.error):
                raise leg.error
        raise AssertionError("the last leg returns or raises")
    finally:
        for leg in legs:
            leg.cancel()


class HedgedAttempt(Generic[T]):
    """One of the two runs. Its lease is ended once, by itself or by whoever cancels it: the pool sees to that.

    Attributes:
        value, error: what came of it, once it has ended.
    """

    value: T

    def __init__(self, lease: Lease, failed_late: Callable[[Lease], object]) -> None:
        self.error: BaseException | None = None
        self._lease = lease
        self._failed_late = failed_late
        self._cancelled = False

    def cancel(self) -> None:
        """End its lease if it is still out: neither a success nor a failure of the endpoint."""
        self._cancelled = True  # first, for it may find its lease ended at once
        if not self._lease.ended:
            with suppress(Exception):  # e.g. it has just ended: an answer is worth more than this
                self._lease.release(Outcome.IGNORED)

    def end_after(self, error: BaseException) -> None:
        """End its lease, if it is still out, by what `error` says: the run is to end now."""
        self._cancelled = True
        if not self._lease.ended:
            with suppress(Exception):  # as above
                self._lease.release_after(error)

    def _end(self) -> None:
        """End its lease by what came of it."""
        try:
            self._give_back(self.error)
        except BaseException as error:  # e.g. fn gave the lease back itself; of one that is cancelled it is dropped
            self.error = error

    def _give_back(self, error: BaseException | None) -> None:
        try:
            if error is None:
                self._lease.release()
            else:
                self._lease.release_after(error)
        except LeaseError as late:
            if self._cancelled:
                if error is not None and outcome_of(error) is Outcome.FAILURE:
                    self._failed_late(self._lease)
            elif error is None:
                raise
            else:
                error.add_note(str(late))


class _Leg(HedgedAttempt[T]):
    """A run in a thread of its own."""

    def __init__(
        self,
        fn: Callable[[Lease], T],
        lease: Lease,
        ended: "SimpleQueue[_Leg[T]]",
        failed_late: Callable[[Lease], object],
    ) -> None:
        super().__init__(lease, failed_late)
        self._fn = fn
        self._ended = ended

    def start(self) -> bool:
        """Run it in a thread of its own. Return False if the machine has no more threads."""
        name = f"hedged-{self._lease.id}"
        # A daemon: a loser that hangs must not keep the process alive.
        thread = threading.Thread(target=copy_context().run, args=(self.run,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        return True

    def run(self) -> None:
        """Make the call in this thread, and put what came of it into the queue."""
        try:
            self.value = self._fn(self._lease)
        except BaseException as error:  # it is raised in the thread that waits
            self.error = error
        self._end()
        self._ended.put(self)


def _soon(ended: "SimpleQueue[_Leg[T]]", within_s: float) -> "_Leg[T] | None":
    try:
        return ended.get(timeout=min(within_s, threading.TIMEOUT_MAX))
    except Empty:
        return None
