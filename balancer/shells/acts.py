"""Sans-IO generators: one implementation for threads and tasks.

Such a generator yields an act: a call without arguments. It is sent the result, or the exception is raised in it. A
thread makes the call; a task awaits what the call returns.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

__all__ = ["Acts", "follow", "follow_in_task"]

T = TypeVar("T")

Acts = Generator[Callable[[], Any], Any, T]


def follow(acts: Acts[T]) -> T:
    """Run the acts of a generator in this thread, and return its result."""
    try:
        act = next(acts)
        while True:
            now = act  # with `try` first, an interrupt at the jump back would be outside the block
            try:
                came = now()
            except BaseException as error:
                act = acts.throw(error)
            else:
                act = acts.send(came)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        acts.close()  # an interrupt may have come between two acts


async def follow_in_task(acts: Acts[T]) -> T:
    """Await the acts of a generator in this task, and return its result."""
    try:
        act = next(acts)
        while True:
            now = act  # as in `follow`
            try:
                came = await now()
            except BaseException as error:
                act = acts.throw(error)
            else:
                act = acts.send(came)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        acts.close()
