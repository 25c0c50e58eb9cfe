"""`pool.aio` and `AsyncPool`: the pool for tasks of asyncio and trio.

Only `lease`, `acquire` and `call` differ from `Pool`, because they wait. Every other method is the pool's own and does
not wait.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import update_wrapper
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from balancer.endpoint import Lease
from balancer.opening.pool import Pool
from balancer.shells.calls import CallArguments, CallRequest, call_in_task
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseArguments, asking, shows_arguments
from balancer.shells.tasks.parking import spot
from balancer.strategy import Strategy

if TYPE_CHECKING:
    from balancer.discovery.follower import Discovery
    from balancer.hookspecs import Source
    from balancer.plugins.registry import Registry
    from balancer.settings.config import Config

__all__ = ["AsyncPool", "TaskPool"]

P = ParamSpec("P")
T = TypeVar("T")


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


class TaskPool:
    """A pool for tasks of asyncio or trio. Threads and the tasks of other loops can use the same pool.

    Args:
        pool: the pool that owns the slots.

    Attributes:
        pool: the same.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @shows_arguments()
    def lease(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> TaskLeaseContext:
        """Return a block, `async with pool.aio.lease() as lease:`, that takes an endpoint and releases it.

        Args and errors are those of `Pool.acquire`, at the start of the block.
        """
        return TaskLeaseContext(self.pool.engine, timeout, asked)

    @shows_arguments()
    async def acquire(self, timeout: float | None = None, **asked: Unpack[LeaseArguments]) -> Lease:
        """Take an endpoint. Release the lease once; `lease.release()` needs no await.

        Args and errors are those of `Pool.acquire`. If the task is cancelled while it waits, it takes no lease. A lease
        that was granted at that moment goes to the next waiter.
        """
        engine = self.pool.engine
        lease = await engine.acquire_in_task(asking(engine.plain, timeout, asked))
        lease.taken = True
        return lease

    @shows_arguments(CallRequest)
    async def call(self, fn: Callable[[Lease], Awaitable[T]], **asked: Unpack[CallArguments]) -> T:
        """Return `await fn(lease)`. If an endpoint fails, try again, as `Pool.call` does.

        Args and errors are those of `Pool.call`, but `fn` is a coroutine function, or returns an awaitable.
        Differences:

        - The loser of a hedged call is cancelled, and has ended when this method returns.
        - An attempt that still runs when `deadline_s` has passed is cancelled, and the call raises TimeoutError. That
          is a failure of the endpoint if the attempt had at least half of `deadline_s`.
        - If the call itself is cancelled, it releases its leases, as neither success nor failure.
        """
        return await call_in_task(self.pool.engine, fn, **asked)

    async def discover(
        self,
        source: "str | type[Source]",
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        **settings: Any,
    ) -> "Discovery":
        """Keep the endpoints of this pool in step with a source; see `Pool.discover`. The loop goes on meanwhile."""
        found, wait_s = self.pool.discovery(source, options, name=name, **settings)
        here = spot()
        found.when_first(here.wake)
        self.pool.follow(found)
        await here.wait(wait_s)
        return found


def _of_the_pool(method: Callable[Concatenate[Pool, P], T]) -> Callable[Concatenate["AsyncPool", P], T]:
    """Return `method` for an `AsyncPool`. It waits for the pool's lock only."""

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
    """Endpoints that tasks lease, one call at a time: `Pool(...).aio` plus the other methods of `Pool`.

    Args and errors are those of `Pool`. As a context manager it closes at the end of the block.

    Attributes:
        pool: the same endpoints for threads.
    """

    __init__ = _made(Pool)

    add = _of_the_pool(Pool.add)
    drain = _of_the_pool(Pool.drain)
    remove = _of_the_pool(Pool.remove)
    update = _of_the_pool(Pool.update)
    reload = _of_the_pool(Pool.reload)
    observe = _of_the_pool(Pool.observe)
    pinged = _of_the_pool(Pool.pinged)
    release_by_id = _of_the_pool(Pool.release_by_id)
    out_of_service = _of_the_pool(Pool.out_of_service)
    endpoints = _of_the_pool(Pool.endpoints)
    stats = _of_the_pool(Pool.stats)
    leases = _of_the_pool(Pool.leases)
    mark_leases = _of_the_pool(Pool.mark_leases)
    snapshot = _of_the_pool(Pool.snapshot)
    last_errors = _of_the_pool(Pool.last_errors)
    trace = _of_the_pool(Pool.trace)
    serve_page = _of_the_pool(Pool.serve_page)
    clock = property(lambda self: self.pool.clock)
    close = _of_the_pool(Pool.close)

    def set_strategy(self, name: str | type[Strategy], **options: Any) -> None:
        """Replace the strategy; see `Pool.set_strategy`."""
        self.pool.set_strategy(name, **options)

    @classmethod
    def from_config(cls, config: "Config | str | PathLike[str]", *, registry: "Registry | None" = None) -> Self:
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
