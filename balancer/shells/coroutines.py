"""Guards against coroutines in a pool for threads, before a slot is lost or an event loop stands still.

Decides what counts as work that is done later, and whether a coroutine is what asks. It knows no pool and no event
loop: it looks at functions, at what they return and at the calls that are under way, so any loop will do.
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
_FUNCTION = inspect.CO_NEWLOCALS  # a module has no such flag
_ADVICE = "do the work in fn itself, while it has the lease, and return what came of it; or await pool.aio.call(fn)"


def at_once(fn: Callable[[Lease], T]) -> Callable[[Lease], T]:
    """Return `fn`, made to raise TypeError if what it returns is work still to be done: that is closed, not begun.

    Raises:
        TypeError: one sees at once that `fn` is such a function.
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
                f"fn returned a {type(result).__name__}, work that begins when its lease has ended; {_ADVICE}"
            )
        return result

    return checked


def awaited(fn: Callable[[Lease], Awaitable[T]]) -> Callable[[Lease], Coroutine[Any, Any, T]]:
    """Return `fn`, made to raise TypeError if what it returns cannot be awaited, e.g. because it works at once.

    Raises:
        TypeError: one sees at once that `fn` is no such function.
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
    """Return whether a coroutine is under way that called what calls this, so that its loop waits as well.

    Args:
        above: how many calls between are known to be none: each that is looked at costs a wait half a microsecond.

    Code that a module runs by itself, such as a cell of a notebook, is not of the coroutine that had it run: it may
    wait, and the kernel with it. O(calls under way).
    """
    frame = sys._getframe(1 + above)
    while frame is not None:
        code = frame.f_code
        flags = code.co_flags
        if flags & _COROUTINE:
            return True
        if not flags & _FUNCTION and code.co_name == "<module>":  # the flag is quicker to ask for
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _drop(result: object) -> None:
    """Close what was not begun, so that nobody warns of it; of a task or a future, which is under way, cancel it."""
    end = getattr(result, "close", None) or getattr(result, "cancel", None)
    if callable(end):
        with suppress(Exception):  # what is wrong is told anyway
            end()
