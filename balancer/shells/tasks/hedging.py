"""Hedged calls in tasks: run a slow call a second time, elsewhere, and take the first answer.

The loser is cancelled: its lease ends at once, and it has ended when the answer is returned. See
`balancer.shells.hedging`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from balancer.endpoint import Lease
from balancer.shells.acts import follow_in_task
from balancer.shells.hedging import HedgedAttempt, hedge
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
    """Return the first result of `await fn(lease)`. If it takes longer than `after_s` seconds, a second run is made.

    Args and errors are those of `balancer.shells.hedging.hedged`, but the loser is cancelled. If the whole hedge is
    cancelled, the lease of the first run ends by `counts_as` of the cancellation, as it had all the time.
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
        self._legs: deque[_Leg[T]] = deque()
        self._at: Spot | None = None

    def put(self, leg: _Leg[T]) -> None:
        self._legs.append(leg)
        if self._at is not None:
            self._at.wake()

    async def get(self, within_s: float) -> _Leg[T] | None:
        """Return the next one; None if there is none within `within_s` seconds."""
        if not self._legs:
            self._at = spot()
            await self._at.wait(within_s)
        return self._legs.popleft() if self._legs else None
