"""Leasing in a task: it takes the engine's lock as a thread does, and waits in its event loop."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from balancer.core import Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease, Outcome
from balancer.errors import REFUSALS, CallFromWithin, PoolForked
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseArguments, LeaseRequest, checked_timeout
from balancer.shells.tasks.parking import spot
from balancer.strategy import ANY, Request

__all__ = ["TaskLeaseContext", "acquire", "asking"]

_NUMBERS = (float, int)


async def acquire(
    engine: Engine,
    request: Request,
    timeout: float | None,
    priority: int,
    polls: Callable[[float], RetryPolls] | None = None,
    block: "TaskLeaseContext | None" = None,
) -> Lease:
    """Take an endpoint; wait in this task if needed. See `Engine.acquire`.

    Args:
        engine: the engine of the pool.
        request, timeout, priority, polls: as there.
        block: gets the lease, if the lease is for a block.
    """
    waits = engine.waits
    lease: Lease | None = None
    waiter: Waiter | None = None
    waits_now = False
    if engine.busy and engine.is_inside():
        raise CallFromWithin
    try:
        engine.enter()
        engine.busy = True
        lease = engine.core.acquire(request, now := engine.now())
        if lease is None:
            lease, now = engine.once_more(request, now)
        if lease is None:
            at = spot(told=waits.parked.pop, lost=waits.strike_off)
            deadline_s = now + (engine.acquire_timeout_s if timeout is None else timeout)
            waiter = engine.core.wait(request, now, deadline_s, priority, at.wake)
            waits.parked[at] = waiter
        engine.busy = False
        engine.leave()
        if waiter is not None:
            waits_now = True
            if engine.happened:
                engine.delivery.deliver()
            waits.look_for_tasks()
            for nap_s in waits.naps(waiter, polls and polls(now), alone=False):
                await at.wait(nap_s)
            waits.parked.pop(at, None)
            if waiter.lease is None:
                assert waiter.error is not None, "a wait ends with a lease or an error"
                raise waiter.error
            lease = waiter.lease
        assert lease is not None, "it was granted one, at once or at the end of its wait"
        if request is not ANY or engine.happened:
            engine.see_to(lease)
    except GeneratorExit:
        if waiter is not None:
            with suppress(PoolForked):  # if it is collected within a call of the core, that is over first
                engine.waits.abandon(waiter, at)
        raise
    except BaseException as error:  # e.g. it is cancelled, perhaps at the moment of the grant
        if not waits_now and error.__class__ not in REFUSALS:
            engine.now = engine.repaired
        try:
            engine.free()
        except RuntimeError:
            pass
        if lease is not None:
            engine.left.append((engine.end, lease, Outcome.IGNORED))
        elif waiter is not None:
            engine.left.append((waits.dismiss, waiter, at))
        try:
            engine.cut_short(error)
        except (RecursionError, MemoryError):
            engine.elsewhere()
        raise
    if priority:
        lease.priority = priority
    if block is not None:
        lease.entered = True
        block.lease = lease
    elif request is not ANY:
        lease.taken = True
    return lease


def asking(engine: Engine, timeout: float | None, asked: LeaseArguments) -> tuple[Engine, Request, float | None, int]:
    """Return the arguments of `acquire`, checked. Raises TypeError, ValueError."""
    if timeout is not None and not (timeout.__class__ in _NUMBERS and timeout >= 0):
        timeout = checked_timeout(timeout)
    if not asked:
        return engine, engine.usual, timeout, 0
    wanted = LeaseRequest(**asked)
    return engine, wanted.of_core(engine.usual), timeout, wanted.priority


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

    # Neither is a coroutine function, but what they return can be awaited. One frame less saves 5% of a lease.

    def __aenter__(self) -> Coroutine[Any, Any, Lease]:
        return acquire(*asking(self._engine, self._timeout, self._asked), None, self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]:
        # A task may be collected inside a call of the core. Then its lease will be found as abandoned.
        if kind is not GeneratorExit or not self._engine.is_inside():
            self.lease.__exit__(kind, error, traceback)
        done: Awaitable[None] = _DONE
        return done


class _Done:
    """An awaitable that does not wait."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return _NOTHING


_NOTHING: Iterator[Any] = iter(())
_DONE: Any = _Done()  # Any: the type checker expects generators as awaitables
