"""Active health checks in tasks: ping endpoints on a schedule, without a thread for each.

Decides as little as `balancer.shells.prober`, whose schedule it keeps. A ping that hangs holds up its own endpoint.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from balancer.shells.prober import PingListener, Schedule, schedules
from balancer.shells.tasks.parking import spot, task_group

__all__ = ["TaskProber"]


class TaskProber:
    """Pings every endpoint about every `every_s` seconds while its `async with` block runs, in tasks of its loop.

    Pings that are under way at the end of the block are cancelled, and the pool is not told of them. So a ping needs a
    time limit of its own: one that hangs tells the pool nothing, and nobody pings its endpoint meanwhile.

    Args:
        pool: is told of each ping.
        pings: for each endpoint, by name, a coroutine function that returns if the endpoint is well, and raises if not.
        every_s: seconds between two pings of an endpoint (> 0).
        conclusive: True if each ping runs a program, so that one that goes well shows that its endpoint works.
        seed: makes the schedule repeatable; None for a random one.

    Raises:
        ValueError: `every_s` is out of range.
    """

    def __init__(
        self,
        pool: PingListener,
        pings: Mapping[str, Callable[[], Awaitable[object]]],
        *,
        every_s: float,
        conclusive: bool = False,
        seed: int | None = None,
    ) -> None:
        when = schedules(pings, every_s, seed)
        self._pool = pool
        self._conclusive = conclusive
        self._pings = [(name, ping, when[name]) for name, ping in pings.items()]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        those = await self._stack.enter_async_context(task_group())
        for name, ping, schedule in self._pings:
            those.start(partial(self._go_on, name, ping, schedule))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    async def _go_on(self, name: str, ping: Callable[[], Awaitable[object]], schedule: Schedule) -> None:
        await spot().wait(schedule.first_s())
        while True:
            self._pool.pinged(name, await _answers(ping), conclusive=self._conclusive)
            await spot().wait(schedule.next_s())


async def _answers(ping: Callable[[], Awaitable[object]]) -> bool:
    try:
        await ping()
    except Exception:  # a ping may be a plugin's: however it fails, the endpoint did not answer
        return False
    return True
