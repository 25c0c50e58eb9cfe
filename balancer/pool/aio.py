"""`pool.aio` and `AsyncPool`: the pool for tasks of asyncio and trio. Only the waiting is different.

Decides nothing: leases are taken as `balancer.shells.tasks.leasing` says, and everything else is the pool's own, which
waits for nothing.
"""

from collections.abc import Awaitable, Callable
from functools import update_wrapper
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from balancer.endpoint import Lease
from balancer.plugins.registry import Registry
from balancer.pool.pool import Pool
from balancer.shells.calls import CallArguments, CallRequest
from balancer.shells.lease_request import LeaseArguments, shows_arguments
from balancer.shells.tasks.calls import call
from balancer.shells.tasks.leasing import TaskLeaseContext, acquire, asking
from balancer.strategy import Strategy

if TYPE_CHECKING:
    from balancer.settings.config import Config

__all__ = ["AsyncPool", "TaskPool"]

P = ParamSpec("P")
T = TypeVar("T")


class TaskPool:
    """A pool, leased by tasks of asyncio or trio, beside threads and the tasks of other loops.

    Args:
        pool: whose slots these are.

    Attributes:
        pool: likewise.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @shows_arguments()
    def lease(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> TaskLeaseContext:
        """Return a block, `async with pool.aio.lease() as lease:`, that takes an endpoint and gives it back.

        Args and errors are those of `Pool.acquire`, when the block begins.
        """
        return TaskLeaseContext(self.pool.engine, timeout, asked)

    @shows_arguments()
    async def acquire(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> Lease:
        """Take an endpoint; the lease must be released once, for which there is no need to wait: `lease.release()`.

        Args and errors are those of `Pool.acquire`. Cancelled while it waits, it takes none: one that was granted at
        that very moment goes to the next.
        """
        return await acquire(*asking(self.pool.engine, timeout, asked))

    @shows_arguments(CallRequest)
    async def call(self, fn: Callable[[Lease], Awaitable[T]], **asked: Unpack[CallArguments]) -> T:
        """Return `await fn(lease)`; if an endpoint fails, try again, as `Pool.call` does.

        Args and errors are those of `Pool.call`, but that `fn` is a coroutine function, or returns what can be awaited.
        Of a hedged call the loser is cancelled, and has ended when this returns. An attempt that still runs when
        `deadline_s` has passed is cancelled likewise, and the call ends with a TimeoutError: a failure of the endpoint,
        if the attempt had half of that time. Cancelled itself, it gives back what it has, as neither success nor
        failure of the endpoint.
        """
        return await call(self.pool.engine, fn, **asked)


def _of_the_pool(method: Callable[Concatenate[Pool, P], T]) -> Callable[Concatenate["AsyncPool", P], T]:
    """Return `method`, done to the pool of an `AsyncPool`: it waits for the pool's lock, and for nothing else."""

    def done(self: "AsyncPool", /, *args: P.args, **values: P.kwargs) -> T:
        return method(self.pool, *args, **values)

    update_wrapper(done, method)
    return done


def _made(make: Callable[P, Pool]) -> Callable[Concatenate["AsyncPool", P], None]:
    def init(self: "AsyncPool", /, *args: P.args, **values: P.kwargs) -> None:
        TaskPool.__init__(self, make(*args, **values))

    update_wrapper(init, Pool.__init__)
    return init


class AsyncPool(TaskPool):
    """Endpoints, leased one call at a time to whichever task needs one: `Pool(...).aio`, and the pool's own methods.

    Args and errors are those of `Pool`. As a context manager it is closed at the end of the block.

    Attributes:
        pool: the same endpoints for threads.
    """

    __init__ = _made(Pool)

    add = _of_the_pool(Pool.add)
    drain = _of_the_pool(Pool.drain)
    remove = _of_the_pool(Pool.remove)
    update = _of_the_pool(Pool.update)
    observe = _of_the_pool(Pool.observe)
    pinged = _of_the_pool(Pool.pinged)
    release_by_id = _of_the_pool(Pool.release_by_id)
    out_of_service = _of_the_pool(Pool.out_of_service)
    endpoints = _of_the_pool(Pool.endpoints)
    stats = _of_the_pool(Pool.stats)
    leases = _of_the_pool(Pool.leases)
    mark_leases = _of_the_pool(Pool.mark_leases)
    snapshot = _of_the_pool(Pool.snapshot)
    time_leases = _of_the_pool(Pool.time_leases)
    trace = _of_the_pool(Pool.trace)
    serve_page = _of_the_pool(Pool.serve_page)
    clock = property(lambda self: self.pool.clock)
    close = _of_the_pool(Pool.close)

    def set_strategy(self, name: str | type[Strategy], **options: Any) -> None:
        """Let another strategy choose from now on; as `Pool.set_strategy`."""
        self.pool.set_strategy(name, **options)

    @classmethod
    def from_config(cls, config: "Config | str | PathLike[str]", *, registry: Registry | None = None) -> Self:
        """Return the pool that a config, or the TOML file at this path, describes. Raises ConfigError."""
        made = cls.__new__(cls)
        TaskPool.__init__(made, Pool.from_config(config, registry=registry))
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self.pool)
