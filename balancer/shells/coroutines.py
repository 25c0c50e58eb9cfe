"""Guards against coroutines in calls of a pool for threads: they would lose their slot.

They look at functions and their results, so they work with any event loop. `balancer.shells.waiting` looks at the call
stack.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType, MethodType, NoneType
from typing import Any, TypeVar

from balancer.endpoint import Lease

__all__ = ["awaitable", "check_works_later", "check_works_now", "finished"]

T = TypeVar("T")

_LATER = (CoroutineType, GeneratorType, AsyncGeneratorType)
_PLAIN = frozenset({NoneType, bool, int, float, str, bytes, tuple, list, dict})  # nearly all results
_YIELDS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_WORKS_LATER = inspect.CO_COROUTINE | _YIELDS
_ADVICE = "do the work in fn, while it has the lease, and return the result; or await pool.aio.call(fn)"


def check_works_now(fn: Callable[[Lease], object]) -> None:
    """Raise TypeError if `fn` is not callable, or is a coroutine or generator function."""
    if not callable(fn):
        raise TypeError(f"fn is {fn!r}; it must be a function that takes the lease, such as lambda lease: ...")
    if _flags(fn) & _WORKS_LATER:
        raise TypeError(f"fn is {fn!r}, a coroutine or generator function; pass a plain one: {_ADVICE}")


def finished(result: T) -> T:
    """Return the result of a function. Raises TypeError if it is an awaitable or a generator, which is then closed."""
    kind = type(result)
    if kind not in _PLAIN and (isinstance(result, _LATER) or hasattr(kind, "__await__")):
        _drop(result)
        raise TypeError(f"fn returned a {kind.__name__}, so its work would begin after the lease has ended; {_ADVICE}")
    return result


def check_works_later(fn: Callable[[Lease], object]) -> None:
    """Raise TypeError if `fn` is not callable, or is a generator function."""
    if not callable(fn) or _flags(fn) & _YIELDS:
        raise TypeError(f"fn is {fn!r}; it must be a coroutine function that takes the lease: async def fn(lease): ...")


def awaitable(made: T) -> T:
    """Return the result of a function. Raises TypeError if it cannot be awaited."""
    if type(made) is not CoroutineType and not inspect.isawaitable(made):
        raise TypeError(
            f"fn returned a {type(made).__name__}, which cannot be awaited; pass a coroutine function, async def "
            "fn(lease): ..., or call pool.call in a thread: await asyncio.to_thread(pool.call, fn)"
        )
    return made


def _flags(fn: Any) -> int:
    """Return the flags of the Python code that a call of `fn` begins with; 0 if there is none.

    It finds what `inspect.iscoroutinefunction` and its like find, also behind `partial` and `__call__`. To look anew at
    each call takes less time than to remember functions.
    """
    if isinstance(fn, FunctionType):
        flags = fn.__code__.co_flags
    elif isinstance(fn, MethodType):
        return _flags(fn.__func__)
    elif isinstance(fn, partial):
        return _flags(fn.func)
    elif isinstance(code := getattr(fn, "__code__", None), CodeType):  # compiled, e.g. by Cython
        flags = code.co_flags
    else:
        called = type(fn).__call__
        flags = _flags(called) if isinstance(called, FunctionType | MethodType | partial) else 0
    if getattr(fn, "__dict__", None) and inspect.iscoroutinefunction(fn):  # marked as one
        flags |= inspect.CO_COROUTINE
    return flags


def _drop(result: object) -> None:
    """Close a result that has not begun, so that Python does not warn. Cancel a task or a future."""
    end = getattr(result, "close", None) or getattr(result, "cancel", None)
    if callable(end):
        with suppress(Exception):  # the caller raises an error anyway
            end()
