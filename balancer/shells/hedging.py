"""Hedged calls: run a slow call a second time, elsewhere, and take the first answer.

A task that loses is cancelled, and has ended when the answer is returned. A thread cannot be stopped from outside. So a
thread that loses sees that `lease.ended` is true, and may run on; its result is dropped. If it fails because of its
endpoint, that is reported. Until it ends, its endpoint has one call more than the pool counts.
"""

import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from balancer.endpoint import Lease, Outcome, judged, outcome_of
from balancer.errors import LeaseError
from balancer.shells.driver import Acts, CallDriver, follow, follow_in_task
from balancer.shells.tasks.parking import Spot, spot, task_group

__all__ = ["hedged", "hedged_in_task"]

A = TypeVar("A", bound="_Attempt[Any]")
T = TypeVar("T")


def _itself(error: BaseException) -> BaseException:
    return error


def hedged(fn: Callable[[Lease], T], drive: CallDriver[Any], after_s: float) -> T:
    """Return the first result of `fn(lease)`. If it takes longer than `after_s` seconds, a second run is made.

    Args:
        fn: the call, which must be idempotent. It runs in its own thread, if the machine has one left.
        drive: its driver. The lease in its hand is taken out, and ends with this call in any case.
        after_s: seconds before the second run.

    Raises:
        Exception: the error of `fn`: at once if it is the caller's own, else after both runs have failed.
    """
    ended: SimpleQueue[_Leg[T]] = SimpleQueue()
    make: partial[_Leg[T]] = partial(_Leg, fn, ended.put, drive.failed_late)
    return follow(_hedge(make, _Leg.start, partial(_soon, ended), drive, after_s)).result()


async def hedged_in_task(fn: Callable[[Lease], Awaitable[T]], drive: CallDriver[Any], after_s: float) -> T:
    """Return the first result of `await fn(lease)`. If it takes longer than `after_s` seconds, a second run is made.

    Args and errors are those of `hedged`, but the loser is cancelled. If the whole hedge is cancelled, the lease of the
    first run ends by `CallDriver.counts_as` of the cancellation, as it had all the time.
    """
    ended: _Ended[T] = _Ended()
    make: partial[_TaskLeg[T]] = partial(_TaskLeg, fn, ended.put, drive.failed_late)

    async with task_group() as those:

        def start(leg: _TaskLeg[T]) -> bool:
            those.start(leg.run)
            return True

        last = await follow_in_task(_hedge(make, start, ended.get, drive, after_s))
    return last.result()


def _hedge(
    make: Callable[[Lease, Callable[[BaseException], BaseException]], A],
    start: Callable[[A], bool],
    soon: Callable[[float], Any],
    drive: CallDriver[Any],
    after_s: float,
) -> Acts[A]:
    """Return the run of a hedged call that counts, after it has ended. Both leases have ended then.

    Args:
        make: makes a run from its lease, and from the function that says how an error ends the lease.
        start: starts a run in parallel. False: it cannot.
        soon: an act that returns the next run to end; None if none ends within the given seconds.
        drive, after_s: as for `hedged`.
    """
    legs: list[A] = []

    def begin() -> bool:
        legs.append(make(drive.hand[0], _itself if legs else drive.counts_as))
        drive.hand.clear()
        return start(legs[-1])

    try:
        if not begin():
            yield legs[0].run
        first = yield partial(soon, after_s)
        if first is None and drive.another() and not begin():
            legs.pop().cancel()
        last: A = first or (yield partial(soon, math.inf))
        if last.error is not None and len(legs) > 1 and judged(last.error).elsewhere:
            last = yield partial(soon, math.inf)
    except BaseException as error:
        if legs:
            legs[0].cancel(drive.counts_as(error))
        raise
    finally:
        for leg in legs:
            leg.cancel()
    return last


class _Attempt(Generic[T]):
    """One of the two runs. Its lease ends once: by the run, or when the run is cancelled.

    Args:
        fn: the call.
        tell: called when the run has ended.
        failed_late: called with its lease if it fails after it was cancelled.
        lease: its lease.
        counts_as: returns the error that ends the lease, given the error of `fn`.

    Attributes:
        value, error: the result or the error, once it has ended.
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
        """An act: make the call, and report its end."""
        raise NotImplementedError

    def result(self) -> T:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value

    def cancel(self, error: BaseException | None = None) -> None:
        """End its lease if it is still out: as neither success nor failure, or by `error`."""
        self._counts_as = _itself  # the end of the run, which follows, is no failure of its own
        self._cancelled = True  # set first, as the run may find its lease ended at once
        if not self._lease.ended:
            with suppress(Exception):  # e.g. it has just ended: the answer matters more than this error
                if error is None:
                    self._lease.release(Outcome.IGNORED)
                else:
                    self._lease.release_after(error)

    def _end(self) -> None:
        try:
            self._give_back(self.error)
        except BaseException as error:  # e.g. `fn` released the lease itself; dropped if the run is cancelled
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


class _Leg(_Attempt[T]):
    """A run in its own thread."""

    def start(self) -> bool:
        """Start the thread. Return False if the machine has no more threads."""
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
        except BaseException as error:  # raised in the waiting thread
            self.error = self._counts_as(error)
        self._end()


def _soon(ended: "SimpleQueue[_Leg[T]]", within_s: float) -> "_Leg[T] | None":
    try:
        return ended.get(timeout=min(within_s, threading.TIMEOUT_MAX))
    except Empty:
        return None


class _TaskLeg(_Attempt[T]):
    """A run in its own task."""

    async def run(self) -> None:
        try:
            self.value = await self._fn(self._lease)
        except GeneratorExit:  # collected, and nothing waits for it; its lease will be found as abandoned
            raise
        except BaseException as error:  # raised in the waiting task
            self.error = self._counts_as(error)
            if not isinstance(error, Exception):  # e.g. a cancellation: the async library must see it too
                self._end()
                raise
        self._end()


class _Ended(Generic[T]):
    """The runs that have ended, in that order. One task of the same loop waits for them."""

    def __init__(self) -> None:
        self._legs: deque[_TaskLeg[T]] = deque()
        self._at: Spot | None = None

    def put(self, leg: _TaskLeg[T]) -> None:
        self._legs.append(leg)
        if self._at is not None:
            self._at.wake()

    async def get(self, within_s: float) -> _TaskLeg[T] | None:
        """Return the next one; None if there is none within `within_s` seconds."""
        if not self._legs:
            self._at = spot()
            await self._at.wait(within_s)
        return self._legs.popleft() if self._legs else None
