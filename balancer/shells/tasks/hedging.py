"""Hedged calls in tasks: run a slow call a second time, elsewhere, and take the first answer.

Decides only that the loser is cancelled: its lease ends at once, and it has ended itself when the answer is returned.
All else is said in `balancer.shells.hedging`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from balancer.endpoint import Lease
from balancer.shells.acts import follow_in_task
from balancer.shells.hedging import HedgedAttempt, hedge
from balancer.shells.tasks.parking import spot, task_group
from balancer.shells.waiting import Spot

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
    make: partial[_Leg[T]] = partial(_Leg, fn, ended.put, failed_late)

    async with task_group() as those:

        def start(leg: _Leg[T]) -> bool:
            those.start(leg.run)
            return True

        last = await follow_in_task(
            hedge(make, start, ended.get, hand, after_s=after_s, another=another, counts_as=counts_as)
        )
    return last.result()


class _Leg(HedgedAttempt[T]):
    """A run in a task of its own."""

    async def run(self) -> None:
        try:
            self.value = await self._fn(self._lease)
        except GeneratorExit:  # it is collected, and nobody waits for it; its lease is nobody's, and will be found
            raise
        except BaseException as error:  # it is raised in the task that waits
            self.error = self._counts_as(error)
            if not isinstance(error, Exception):  # e.g. it is cancelled: that is its library's business, too
                self._end()
                raise
        self._end()


class _Ended(Generic[T]):
    """Runs that have ended, first come first. One task waits for them, in the loop in which they run."""

    def __init__(self) -> None:
        self._legs: deque[_Leg[T]] = deque()
        self._at: Spot | None = None

    def put(self, leg: _Leg[T]) -> None:
        self._legs.append(leg)
        if self._at is not None:
            self._at.wake()

    async def get(self, within_s: float) -> _Leg[T] | None:
        """Return the next one; None if there is none within so many seconds."""
        if not self._legs:
            self._at = spot()
            await self._at.wait(within_s)
        return self._legs.popleft() if self._legs else None
