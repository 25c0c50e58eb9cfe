"""Active health checks in tasks: ping endpoints on a schedule, without a thread for each."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from balancer.shells.acts import follow_in_task
from balancer.shells.prober import PingSchedule
from balancer.shells.tasks.parking import spot, task_group

__all__ = ["TaskProber"]


class TaskProber(PingSchedule[Awaitable[object]]):
    """Pings endpoints while its `async with` block runs, in tasks of its loop. Args and errors: see `PingSchedule`.

    At the end of the block, pings that still run are cancelled and not reported. A ping needs its own time limit: while
    it hangs, its endpoint gets no other ping, and the pool no result.
    """

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            those = await stack.enter_async_context(task_group())
            for each in self._pings:
                those.start(partial(follow_in_task, self._go_on(*each)))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    async def _pause(self, for_s: float) -> None:
        await spot().wait(for_s)
