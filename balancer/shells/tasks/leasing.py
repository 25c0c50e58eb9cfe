"""How a task leases: it takes the engine's lock as a thread does, and waits in its own loop.

Decides what is made good when a wait is cancelled. It must not decide who is next, nor know which library runs a task.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from balancer.core import Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.errors import PoolForked
from balancer.shells.engine import Engine
from balancer.shells.lease_request import LeaseArguments, LeaseRequest, checked_timeout
from balancer.shells.tasks.parking import spot
from balancer.shells.waiting import Spot, granted_to
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
    """Take an endpoint, and wait for it if need be, in this task; as `Engine.acquire`.

    Args:
        engine: whose endpoints these are.
        request, timeout, priority, polls: as there.
        block: has the lease from now on, if it is for one.
    """
    waits = engine.waits
    lease: Lease | None = None
    waiter: Waiter | None = None
    try:
        engine.enter()
        lease = engine.core.acquire(request, now := engine.clock())
        if lease is None:
            lease, now = engine.once_more(request, now)
        if lease is None:
            at = spot(told=waits.parked.pop, lost=waits.strike_off)
            deadline_s = now + (engine.acquire_timeout_s if timeout is None else timeout)
            waiter = engine.core.wait(request, now, deadline_s, priority, at.wake)
            waits.parked[at] = waiter
        engine.leave()
    except BaseException as error:
        engine.cut_short(error, lease)
        if waiter is not None and waits.parked.pop(at, None) is not None:
            waits.abandon(waiter)
        raise
    if waiter is not None:  # no call between the two `try`: an interrupt comes at one
        try:
            if engine.happened:
                engine.delivery.deliver()
            waits.look_for_tasks()
            for nap_s in waits.naps(waiter, polls and polls(now), alone=False):
                await at.wait(nap_s)
            waits.parked.pop(at, None)
        except GeneratorExit:
            _collected(engine, waiter, at)
            raise
        except BaseException:  # e.g. it is cancelled, perhaps as it was granted
            try:
                waits.abandon(waiter)
            finally:
                waits.parked.pop(at, None)
            raise
        lease = granted_to(waiter)
    assert lease is not None, "it was granted one, at once or at the end of its wait"
    if request is not ANY or (engine.attends and engine.happened):
        try:
            engine.see_to(lease)
        except BaseException:
            engine.recover(lease)
            raise
    if priority:
        lease.priority = priority
    if block is not None:
        lease.entered = True
        block.lease = lease
    return lease


def asking(engine: Engine, timeout: float | None, asked: LeaseArguments) -> tuple[Engine, Request, float | None, int]:
    """Return what `acquire` takes, checked. Raises TypeError, ValueError."""
    if timeout is not None and not (timeout.__class__ in _NUMBERS and timeout >= 0):
        timeout = checked_timeout(timeout)
    if not asked:
        return engine, engine.usual, timeout, 0
    wanted = LeaseRequest(**asked)
    return engine, wanted.of_core(engine.usual), timeout, wanted.priority


class TaskLeaseContext:
    """One `async with pool.aio.lease():`. It takes an endpoint when it begins, and gives it back when it ends.

    Attributes:
        lease: what it has taken, from its beginning on.
    """

    __slots__ = ("_asked", "_engine", "_timeout", "lease")

    lease: Lease

    def __init__(self, engine: Engine, timeout: float | None, asked: LeaseArguments) -> None:
        self._engine = engine
        self._timeout = timeout
        self._asked = asked

    # Neither is a coroutine function: what they return is awaited all the same, and one frame less is 5% of a lease.

    def __aenter__(self) -> Coroutine[Any, Any, Lease]:
        return acquire(*asking(self._engine, self._timeout, self._asked), None, self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]:
        # A task that is collected may be so in the midst of a call of the core. Then its lease is nobody's, and found.
        if kind is not GeneratorExit or not self._engine.is_inside:
            self.lease.__exit__(kind, error, traceback)
        done: Awaitable[None] = _DONE
        return done


def _collected(engine: Engine, waiter: Waiter, at: Spot) -> None:
    """Give up for a task that was collected while it waited.

    That may happen in the midst of a call of the core, by this very thread. Then whoever wakes it does the rest.
    """
    if engine.is_inside:
        at.deserted = True
        if waiter.lease is not None:
            waiter.lease.entered = True  # so that it is known that nobody has it
    else:
        with suppress(PoolForked):
            engine.waits.abandon(waiter)
        engine.waits.parked.pop(at, None)


class _Done:
    """What is awaited when there is nothing to wait for."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return _NOTHING


_NOTHING: Iterator[Any] = iter(())
_DONE: Any = _Done()  # any, for an awaitable is thought to be one of generators
