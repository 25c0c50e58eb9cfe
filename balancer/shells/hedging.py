"""Hedged calls: run a slow call a second time, elsewhere, and take the first answer. Here in threads.

Decides, for tasks too, when the second one starts and what becomes of the loser. It must not know pools, budgets or
retries: it is given a lease, a way to get another, and somebody to tell of a loser that fails.

A thread cannot be stopped from outside. So a call that is cancelled loses its lease at once, and that is how it can
tell: `lease.ended` is true. It may go on to its end, in a thread that nobody waits for; what it returns then is
dropped, and of what it raises only that it is the endpoint's fault is told. Until it ends its endpoint does a call
more than the pool knows of.
"""

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from balancer.endpoint import Lease, Outcome, may_go_elsewhere, outcome_of
from balancer.errors import LeaseError
from balancer.shells.acts import Acts, follow

__all__ = ["HedgedAttempt", "hedge", "hedged"]

A = TypeVar("A", bound="HedgedAttempt[Any]")
T = TypeVar("T")


def _itself(error: BaseException) -> BaseException:
    return error


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
    make: partial[_Leg[T]] = partial(_Leg, fn, ended.put, failed_late)
    return follow(hedge(make, _Leg.start, partial(_soon, ended), hand, after_s=after_s, another=another)).result()


def hedge(
    make: Callable[[Lease, Callable[[BaseException], BaseException]], A],
    start: Callable[[A], bool],
    soon: Callable[[float], Any],
    hand: list[Lease],
    *,
    after_s: float,
    another: Callable[[], object],
    counts_as: Callable[[BaseException], BaseException] = _itself,
) -> Acts[A]:
    """Return the run of a hedged call that counts, once it has ended; the leases of both have, then.

    Args:
        make: makes a run of its lease, and of what says how the lease ends by an error.
        start: starts a run beside this. False: it cannot.
        soon: an act: returns the next run that ends; None if there is none within so many seconds.
        hand, after_s, another: as for `hedged`.
        counts_as: says how the lease of the first run ends by an error, also by one that ends all of this.
    """
    legs: list[A] = []

    def begin() -> bool:
        legs.append(make(hand[0], _itself if legs else counts_as))
        hand.clear()
        return start(legs[-1])

    try:
        if not begin():
            yield legs[0].run
        first = yield partial(soon, after_s)
        if first is None and another() and not begin():
            legs.pop().cancel()
        last: A = first or (yield partial(soon, math.inf))
        if last.error is not None and len(legs) > 1 and may_go_elsewhere(last.error):
            last = yield partial(soon, math.inf)
    except BaseException as error:
        if legs:
            legs[0].end_after(counts_as(error))
        raise
    finally:
        for leg in legs:
            leg.cancel()
    return last


class HedgedAttempt(Generic[T]):
    """One of the two runs. Its lease is ended once, by itself or by whoever cancels it: the pool sees to that.

    Args:
        fn: the call.
        tell: is told when it has ended.
        failed_late: is told of its lease if it is cancelled and fails after all.
        lease: its own.
        counts_as: says how the lease ends by what `fn` raises.

    Attributes:
        value, error: what came of it, once it has ended.
    """

    value: T

    def __init__(
        self,
        fn: Callable[[Lease], Any],
        tell: Callable[[Any], object],
        failed_late: Callable[[Lease], object],
        lease: Lease,
        counts_as: Callable[[BaseException], BaseException],
    ) -> None:
        self.error: BaseException | None = None
        self._fn = fn
        self._tell = tell
        self._failed_late = failed_late
        self._lease = lease
        self._counts_as = counts_as
        self._cancelled = False
        lease.entered = True

    def run(self) -> Any:
        """Make the call, and tell what came of it: an act."""
        raise NotImplementedError

    def result(self) -> T:
        """Return, or raise, what came of it."""
        if self.error is not None:
            raise self.error
        return self.value

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
        """End its lease by what came of it, and tell."""
        try:
            self._give_back(self.error)
        except BaseException as error:  # e.g. fn gave the lease back itself; of one that is cancelled it is dropped
            self.error = error
        self._tell(self)

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
        try:
            self.value = self._fn(self._lease)
        except BaseException as error:  # it is raised in the thread that waits
            self.error = self._counts_as(error)
        self._end()


def _soon(ended: "SimpleQueue[_Leg[T]]", within_s: float) -> "_Leg[T] | None":
    try:
        return ended.get(timeout=min(within_s, threading.TIMEOUT_MAX))
    except Empty:
        return None
