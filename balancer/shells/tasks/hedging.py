"""Hedged calls in tasks: run a slow call a second time, elsewhere, and take the first answer.

Decides when the second one starts, and that the loser is cancelled: its lease ends at once, and it has ended itself
when the answer is returned. What becomes of their leases is said in `balancer.shells.hedging`.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from balancer.endpoint import Lease, may_go_elsewhere
from balancer.shells.hedging import HedgedAttempt
from balancer.shells.tasks.parking import Spot, spot, task_group

__all__ = ["hedged"]

T = TypeVar("T")


async def hedged(
    fn: Callable[[Lease], Awaitable[T]],
    hand: list[Lease],
    *,
    after_s: float,
    another: Callable[[], object],
    failed_late: Callable[[Lease], object],
    counts_as: Callable[[BaseException], BaseException],
) -> T:
    """Return `await fn(lease)` or, if that takes longer than `after_s` seconds, what it or a second one returns first.

    Args and errors are those of `balancer.shells.hedging.hedged`; here the loser is cancelled. If all of it is, the
    lease of the first run, which had all the time, ends as `counts_as` says of the cancellation.
    """
    ended: _Ended[T] = _Ended()
    legs: list[_Leg[T]] = []

    async with task_group() as those:

        def begin() -> None:
            legs.append(_Leg(fn, hand[0], ended, failed_late, _itself if legs else counts_as))
            hand.clear()
            those.start(legs[-1].run)

        try:
            begin()
            first = await ended.get(after_s)
            if first is None and another():
                begin()
            last = first or await ended.get()
            if last is not None and last.error is not None and len(legs) > 1 and may_go_elsewhere(last.error):
                last = await ended.get()
        except BaseException as error:
            if legs:
                legs[0].end_after(counts_as(error))
            raise
        finally:
            for leg in legs:
                leg.cancel()
    assert last is not None, "whoever waits for any time gets one"
    if last.error is not None:
        raise last.error
    return last.value


class _Leg(HedgedAttempt[T]):
    """A run in a task of its own."""

    def __init__(
        self,
        fn: Callable[[Lease], Awaitable[T]],
        lease: Lease,
        ended: "_Ended[T]",
        failed_late: Callable[[Lease], object],
        counts_as: Callable[[BaseException], BaseException],
    ) -> None:
        super().__init__(lease, failed_late)
        self._fn = fn
        self._ended = ended
        self._counts_as = counts_as
        lease.entered = True

    async def run(self) -> None:
        """Make the call in this task, and tell what came of it."""
        try:
            self.value = await self._fn(self._lease)
        except GeneratorExit:  # it is collected, and nobody waits for it; its lease is nobody's, and will be found
            raise
        except BaseException as error:  # it is raised in the task that waits
            self.error = self._counts_as(error)
            if not isinstance(error, Exception):  # e.g. it is cancelled: that is its library's business, too
                self._tell()
                raise
        self._tell()

    def _tell(self) -> None:
        self._end()
        self._ended.put(self)


class _Ended(Generic[T]):
    """Runs that have ended, first come first. One task waits for them, in the loop in which they run."""

    def __init__(self) -> None:
        self._legs: deque[_Leg[T]] = deque()
        self._at: Spot | None = None

    def put(self, leg: _Leg[T]) -> None:
        self._legs.append(leg)
        if self._at is not None:
            self._at.wake()

    async def get(self, within_s: float = math.inf) -> _Leg[T] | None:
        """Return the next one; None if there is none within so many seconds."""
        if not self._legs:
            self._at = spot()
            await self._at.wait(within_s)
        return self._legs.popleft() if self._legs else None


def _itself(error: BaseException) -> BaseException:
    return error
