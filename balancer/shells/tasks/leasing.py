"""The lease of a block in a task: `async with pool.aio.lease()`."""

from types import TracebackType

from balancer.endpoint import Lease
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseArguments, asking

__all__ = ["TaskLeaseContext"]


class TaskLeaseContext:
    """An `async with pool.aio.lease():` block. It takes an endpoint at the start and releases it at the end.

    Attributes:
        lease: its lease, from the start of the block on.
    """

    __slots__ = ("_asked", "_engine", "_timeout", "lease")

    lease: Lease

    def __init__(self, engine: Engine, timeout: float | None, asked: LeaseArguments) -> None:
        self._engine = engine
        self._timeout = timeout
        self._asked = asked

    async def __aenter__(self) -> Lease:
        wanted = asking(self._engine.plain, self._timeout, self._asked)
        self.lease = lease = await self._engine.acquire_in_task(wanted)
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A task may be collected inside a step of the engine. Then its lease will be found as abandoned.
        if kind is not GeneratorExit or not self._engine.is_inside():
            self.lease.__exit__(kind, error, traceback)
