"""Sans-IO generators: what threads and tasks do alike is decided in one place, and done by each in its own way.

Such a generator yields an act, a call without arguments, and is sent what came of it, or it is raised there. A thread
makes the call, a task awaits what it returns. It decides nothing.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

__all__ = ["Acts", "follow", "follow_in_task"]

T = TypeVar("T")

Acts = Generator[Callable[[], Any], Any, T]


def follow(acts: Acts[T]) -> T:
    """Do one act after the other, in this thread, and return what they come to."""
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
    """Await one act after the other, in this task, and return what they come to."""
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
    """Do `act`, and return the next one. Raises StopIteration if it was the last."""
    try:
        came = act()
    except BaseException as error:
        return acts.throw(error)
    return acts.send(came)
