"""Guards against coroutines in a pool for threads: they would lose a slot, or block an event loop.

They look at functions, their results and the call stack. So they work with any event loop.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar

from balancer.endpoint import Lease

__all__ = ["at_once", "awaited", "in_coroutine"]

T = TypeVar("T")

_LATER = (CoroutineType, GeneratorType, AsyncGeneratorType)
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FUNCTION = inspect.CO_NEWLOCALS  # a module's code does not have this flag
_ADVICE = "do the work in fn, while it has the lease, and return the result; or await pool.aio.call(fn)"


def at_once(fn: Callable[[Lease], T]) -> Callable[[Lease], T]:
    """Return `fn` with a check of its result. It raises TypeError if the result is an awaitable or a generator.

    Such a result is closed.

    Raises:
        TypeError: `fn` itself is a coroutine or generator function.
    """
    if not callable(fn):
        raise TypeError(f"fn is {fn!r}; it must be a function that takes the lease, such as lambda lease: ...")
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_one(each) for is_one in kinds for each in (fn, type(fn).__call__)):
        raise TypeError(f"fn is {fn!r}, a coroutine or generator function; pass a plain one: {_ADVICE}")

    def checked(lease: Lease) -> T:
        result = fn(lease)
        if isinstance(result, _LATER) or hasattr(type(result), "__await__"):
            _drop(result)
            raise TypeError(
                f"fn returned a {type(result).__name__}, so its work would begin after the lease has ended; {_ADVICE}"
            )
        return result

    return checked


def awaited(fn: Callable[[Lease], Awaitable[T]]) -> Callable[[Lease], Coroutine[Any, Any, T]]:
    """Return `fn` with a check of its result. It raises TypeError if the result cannot be awaited.

    Raises:
        TypeError: `fn` itself is a function of another kind.
    """
    if not callable(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(f"fn is {fn!r}; it must be a coroutine function that takes the lease: async def fn(lease): ...")

    async def checked(lease: Lease) -> T:
        made = fn(lease)
        if not inspect.isawaitable(made):
            raise TypeError(
                f"fn returned a {type(made).__name__}, which cannot be awaited; pass a coroutine function, async def "
                "fn(lease): ..., or call pool.call in a thread: await asyncio.to_thread(pool.call, fn)"
            )
        return await made

    return checked


def in_coroutine(above: int = 0) -> bool:
    """Return whether a coroutine is on the call stack, so that its event loop would wait too. O(stack).

    Args:
        above: how many frames above the caller are known to be none; each frame costs half a microsecond.

    Code of a module, such as a cell of a notebook, does not count as part of the coroutine that runs it: it may wait,
    and its kernel with it.
    """
    frame = sys._getframe(1 + above)
    while frame is not None:
        code = frame.f_code
        flags = code.co_flags
        if flags & _COROUTINE:
            return True
        if not flags & _FUNCTION and code.co_name == "<module>":  # the flag is faster to test
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _drop(result: object) -> None:
    """Close a result that has not begun, so that Python does not warn. Cancel a task or a future."""
    end = getattr(result, "close", None) or getattr(result, "cancel", None)
    if callable(end):
        with suppress(Exception):  # the caller raises an error anyway
            end()
