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
            act = _after(act, acts)
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
            try:
                came = await act()
            except BaseException as error:
                act = acts.throw(error)
            else:
                act = acts.send(came)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        acts.close()


def _after(act: Callable[[], Any], acts: Acts[Any]) -> Callable[[], Any]:
    """Return the act that follows the result of `act`. Raises StopIteration after the last act."""
    try:
        came = act()
    except BaseException as error:
        return acts.throw(error)
    return acts.send(came)
