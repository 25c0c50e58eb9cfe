"""`Pool.call` and `pool.aio.call`: call an endpoint, and another one if that fails.

The attempt plan (`balancer.core.attempt_plan`) decides where and when to retry.
"""

import inspect
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType, NoneType
from typing import TypeVar, Unpack

from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Lease
from balancer.shells.driver import TaskDriver, ThreadDriver
from balancer.shells.engine import Engine
from balancer.shells.hedging import hedged, hedged_in_task
from balancer.shells.lease_request import LeaseArguments, LeaseRequest, not_sets
from balancer.values.numbers import checked, seconds, whole

__all__ = ["CallArguments", "CallRequest", "call", "call_in_task"]

T = TypeVar("T")

_LATER = (CoroutineType, GeneratorType, AsyncGeneratorType)
_PLAIN = frozenset({NoneType, bool, int, float, str, bytes, tuple, list, dict})  # nearly all results


class CallArguments(LeaseArguments, total=False):
    """A `CallRequest` as keyword arguments; see `call`."""

    attempts: int
    deadline_s: float | None
    hedge_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest(LeaseRequest):
    """The arguments of a call; see `call`."""

    attempts: int = 3
    deadline_s: float | None = None
    hedge_after_s: float | None = None

    def __post_init__(self) -> None:
        labels, exclude = self.labels, self.exclude
        if isinstance(labels, str) or isinstance(exclude, str):
            raise not_sets(labels, exclude)
        try:  # kept as sets: each attempt reads them again
            object.__setattr__(self, "labels", frozenset(labels))
            object.__setattr__(self, "exclude", frozenset(exclude))
        except TypeError:
            raise not_sets(labels, exclude) from None

    def plans(self, engine: Engine) -> AttemptPlans:
        """Return what makes the attempt plan of such a call. Raises ValueError if a number is out of range."""
        if self.deadline_s is self.hedge_after_s is None and self.attempts is _USUAL.attempts:
            return engine.plans
        checked("attempts", self.attempts, whole)
        for name, value in (("deadline_s", self.deadline_s), ("hedge_after_s", self.hedge_after_s)):
            if value is not None:
                checked(name, value, seconds)
        policy = CallPolicy(
            attempts=self.attempts,
            retries=engine.retries,
            wait_s=engine.acquire_timeout_s if self.deadline_s is None else math.inf,
            deadline_s=math.inf if self.deadline_s is None else self.deadline_s,
            hedge_after_s=self.hedge_after_s,
        )
        return AttemptPlans(policy, budget=engine.budget, rng=engine.jitter)


CallRequest.__init__.__qualname__ = "Pool.call"  # as for `LeaseRequest`

_USUAL = CallRequest()


def call(engine: Engine, fn: Callable[[Lease], T], **asked: Unpack[CallArguments]) -> T:
    """Return `fn(lease)` for a lease of the pool of `engine`. If an endpoint fails, try again.

    See `balancer.Pool.call` for the arguments and errors.
    """
    if not callable(fn):
        raise TypeError(f"fn is {fn!r}; it must be a function that takes the lease, such as lambda lease: ...")
    request = CallRequest(**asked) if asked else _USUAL
    return _Call(engine, request, lambda lease: _finished(fn(lease))).run()


async def call_in_task(engine: Engine, fn: Callable[[Lease], Awaitable[T]], **asked: Unpack[CallArguments]) -> T:
    """Return `await fn(lease)`, after as many attempts as needed; see `balancer.opening.aio.TaskPool.call`."""
    if not callable(fn):
        raise TypeError(f"fn is {fn!r}; it must be a coroutine function that takes the lease: async def fn(lease): ...")
    request = CallRequest(**asked) if asked else _USUAL
    return await _TaskCall(engine, request, lambda lease: _awaitable(fn(lease))).run()


class _Call(ThreadDriver[T]):
    """One call of `fn`."""

    def __init__(self, engine: Engine, asked: CallRequest, fn: Callable[[Lease], T]) -> None:
        super().__init__(engine, asked.plans(engine), asked)
        self._fn = fn

    def attempt(self, run: Run) -> T:
        if run.hedge_s < math.inf:
            return hedged(self._fn, self, run.hedge_s)
        with self.hand[0] as lease:
            done = self._fn(lease)
        self.hand.clear()
        return done


class _TaskCall(TaskDriver[T]):
    """One call of `fn` in a task."""

    def __init__(self, engine: Engine, asked: CallRequest, fn: Callable[[Lease], Awaitable[T]]) -> None:
        super().__init__(engine, asked.plans(engine), asked)
        self._fn = fn

    async def attempt(self, run: Run) -> T:
        if run.hedge_s < math.inf:
            return await hedged_in_task(self._fn, self, run.hedge_s)
        lease = self.hand[0]
        lease.entered = True
        try:
            done = await self._fn(lease)
        except GeneratorExit:  # the task is collected: `steps` handles the lease
            raise
        except BaseException as error:
            told = self.counts_as(error)
            lease.__exit__(type(told), told, error.__traceback__)
            raise
        lease.__exit__(None, None, None)
        self.hand.clear()
        return done


# -- functions that fit neither --------------------------------------------------------------------


def _finished(result: T) -> T:
    """Return the result of a function. Raises TypeError if it is an awaitable or a generator, which is then closed."""
    kind = type(result)
    if kind not in _PLAIN and (isinstance(result, _LATER) or hasattr(kind, "__await__")):
        # So that Python does not warn of a coroutine that has not begun. A task or a future is cancelled.
        end = getattr(result, "close", None) or getattr(result, "cancel", None)
        if callable(end):
            with suppress(Exception):  # the caller gets an error anyway
                end()
        raise TypeError(
            f"fn returned a {kind.__name__}, so its work would begin after the lease has ended; do the work in fn, "
            "while it has the lease, and return the result; or await pool.aio.call(fn)"
        )
    return result


def _awaitable(made: T) -> T:
    """Return the result of a function. Raises TypeError if it cannot be awaited."""
    if type(made) is not CoroutineType and not inspect.isawaitable(made):
        raise TypeError(
            f"fn returned a {type(made).__name__}, which cannot be awaited; pass a coroutine function, async def "
            "fn(lease): ..., or call pool.call in a thread: await asyncio.to_thread(pool.call, fn)"
        )
    return made
