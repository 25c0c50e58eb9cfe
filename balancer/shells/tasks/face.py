"""`pool.aio`: the pool for tasks of asyncio and trio. Only the waiting is different.

Decides what is made good when a wait is cancelled. It must not decide who is next, nor know which library runs a task.
It does for tasks what `balancer.pool.pool` and `waiting` do for threads, and is a friend of theirs: it takes the
pool's own lock, and calls the pool's own core.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from functools import partial
from traceback import clear_frames
from types import TracebackType
from typing import Any, TypeVar, Unpack

from balancer.core import Waiter
from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Ask
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.errors import BalancerError, PoolForked
from balancer.pool.pool import Pool
from balancer.shells.arguments import Wanted, asked_for, checked_timeout, shows_what_may_be_asked, wanting
from balancer.shells.tasks.calls import CallWanted, call
from balancer.shells.tasks.parking import Spot, spot
from balancer.shells.waiting import granted_to
from balancer.strategy import ANY, Request

__all__ = ["TaskLeaseContext", "TaskPool"]

T = TypeVar("T")

_NUMBERS = (float, int)


class TaskPool:
    """A pool, leased by tasks of asyncio or trio, beside threads and the tasks of other loops.

    Args:
        pool: whose slots these are.

    Attributes:
        pool: likewise.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @shows_what_may_be_asked
    def lease(self, timeout: float | None = None, **asked: Unpack[Wanted]) -> "TaskLeaseContext":
        """Return a block, `async with pool.aio.lease() as lease:`, that takes an endpoint and gives it back.

        Args and errors are those of `Pool.acquire`, when the block begins.
        """
        return TaskLeaseContext(self, timeout, asked)

    @shows_what_may_be_asked
    async def acquire(self, timeout: float | None = None, **asked: Unpack[Wanted]) -> Lease:
        """Take an endpoint; the lease must be released once, for which there is no need to wait: `lease.release()`.

        Args and errors are those of `Pool.acquire`. Cancelled while it waits, it takes none: one that was granted at
        that very moment goes to the next.
        """
        return await self._grant(*_asking(self.pool, timeout, asked))

    async def acquire_again(
        self,
        course: AttemptPlan,
        ask: Ask,
        *,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
        holder: str = "",
        ttl_s: float | None = None,
        tokens: int | None = None,
    ) -> Lease:
        """Take an endpoint for a retry; as `Pool.acquire_again`."""
        wanted = wanting(
            self.pool._any,
            labels=labels,
            exclude=exclude,
            slots=slots,
            key=key,
            holder=holder,
            ttl_s=ttl_s,
            tokens=tokens,
        )
        looks = partial(RetryPolls, course, wanted)
        lease = await self._grant(wanted(ask), ask.within_s, priority, None, lambda now: looks(now, ask))
        lease.entered = True
        return lease

    async def call(self, fn: Callable[[Lease], Awaitable[T]], **wanted: Unpack[CallWanted]) -> T:
        """Return `await fn(lease)`; if an endpoint fails, try again, as `Pool.call` does.

        Args and errors are those of `Pool.call`, but that `fn` is a coroutine function, or returns what can be awaited.
        Of a hedged call the loser is cancelled, and has ended when this returns. An attempt that still runs when
        `deadline_s` has passed is cancelled likewise, and the call ends with a TimeoutError: a failure of the endpoint,
        if the attempt had half of that time. Cancelled itself, it gives back what it has, as neither success nor
        failure of the endpoint.
        """
        return await call(self, fn, **wanted)

    call.__signature__ = inspect.signature(Pool.call)  # type: ignore[attr-defined]  # for `help`, and for editors

    # -- inside ------------------------------------------------------------------------------------

    async def _grant(
        self,
        request: Request,
        timeout: float | None,
        priority: int,
        block: "TaskLeaseContext | None" = None,
        looks: Callable[[float], RetryPolls] | None = None,
    ) -> Lease:
        """Take an endpoint, for `block` if there is one; `looks`, made when the wait begins, are those of a retry."""
        pool = self.pool
        lease: Lease | None = None
        waiter: Waiter | None = None
        try:
            pool._enter()
            lease = pool._core.acquire(request, now := pool._clock())
            if lease is None:
                lease, now = pool._once_more(request, now)
            if lease is None:
                at = spot(told=pool._places.pop, lost=pool._strike_off)
                deadline_s = now + (pool._timeout_s if timeout is None else timeout)
                waiter = pool._core.wait(request, now, deadline_s, priority, at.wake)
                pool._places[at] = waiter
            pool._leave()
        except BalancerError:
            pool._let_go_and_tell()
            raise
        except BaseException as error:  # e.g. KeyboardInterrupt: the caller won't get it
            clear_frames(error.__traceback__)
            pool._recover(lease)
            if waiter is not None and pool._places.pop(at, None) is not None:
                pool._abandon(waiter)
            raise
        if waiter is not None:  # no call between the two `try`: an interrupt comes at one
            try:
                if pool._happened:
                    pool._delivery.deliver()
                if not pool._round_s:
                    pool._go_round()
                for nap_s in pool._naps(waiter, looks and looks(now), alone=False):
                    await at.wait(nap_s)
                pool._places.pop(at, None)
            except GeneratorExit:
                self._collected(waiter, at)
                raise
            except BaseException:  # e.g. it is cancelled, perhaps as it was granted
                try:
                    pool._abandon(waiter)
                finally:
                    pool._places.pop(at, None)
                raise
            lease = granted_to(waiter)
        assert lease is not None, "it was granted one, at once or at the end of its wait"
        if request is not ANY or (pool._attends and pool._happened):
            try:
                pool._see_to(lease)
            except BaseException:
                pool._recover(lease)
                raise
        if priority:
            lease.priority = priority
        if block is not None:
            lease.entered = True
            block.lease = lease
        return lease

    def _collected(self, waiter: Waiter, at: Spot) -> None:
        """Give up for a task that was collected while it waited.

        That may happen in the midst of a call of the core, by this very thread. Then whoever wakes it does the rest.
        """
        if self.pool.is_inside:
            at.deserted = True
            if waiter.lease is not None:
                waiter.lease.entered = True  # so that it is known that nobody has it
        else:
            with suppress(PoolForked):
                self.pool._abandon(waiter)
            self.pool._places.pop(at, None)


class TaskLeaseContext:
    """One `async with pool.aio.lease():`. It takes an endpoint when it begins, and gives it back when it ends.

    Attributes:
        lease: what it has taken, from its beginning on.
    """

    __slots__ = ("_asked", "_tasks", "_timeout", "lease")

    lease: Lease

    def __init__(self, tasks: TaskPool, timeout: float | None, asked: Wanted) -> None:
        self._tasks = tasks
        self._timeout = timeout
        self._asked = asked

    # Neither is a coroutine function: what they return is awaited all the same, and one frame less is 5% of a lease.

    def __aenter__(self) -> Coroutine[Any, Any, Lease]:
        return self._tasks._grant(*_asking(self._tasks.pool, self._timeout, self._asked), self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]:
        # A task that is collected may be so in the midst of a call of the core. Then its lease is nobody's, and found.
        if kind is not GeneratorExit or not self._tasks.pool.is_inside:
            self.lease.__exit__(kind, error, traceback)
        done: Awaitable[None] = _DONE
        return done


def _asking(pool: Pool, timeout: float | None, asked: Wanted) -> tuple[Request, float | None, int]:
    """Return the request, the timeout and the priority of an acquire, checked."""
    if timeout is not None and not (timeout.__class__ in _NUMBERS and timeout >= 0):
        timeout = checked_timeout(timeout)
    if not asked:
        return pool._any, timeout, 0
    request, priority = asked_for(pool._any, **asked)
    return request, timeout, priority


class _Done:
    """What is awaited when there is nothing to wait for."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return _NOTHING


_NOTHING: Iterator[Any] = iter(())
_DONE: Any = _Done()  # any, for an awaitable is thought to be one of generators
