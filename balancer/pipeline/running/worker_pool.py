"""Many problems at work, each in a thread, taken in one at a time.

Decides how many are in memory: those at work, and one that was read. It must not know what a problem is.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from balancer.judging.runner import Runner, Stopped

__all__ = ["work_through"]

Item = TypeVar("Item")

_LOOK_S = 0.2  # waits are short, so that the main thread takes signals meanwhile


def work_through(items: Iterator[Item], act: Callable[[Item], None], workers: int, runner: Runner) -> bool:
    """Do `act` for every item, `workers` at a time. Return False if the run was stopped.

    The first error stops the others, and is raised.
    """
    threads = ThreadPoolExecutor(workers, thread_name_prefix="sample")
    busy: set[Future[None]] = set()
    errors: list[BaseException] = []
    all_taken = False
    try:
        for item in items:
            while len(busy) >= workers and not (errors or runner.stopping):
                busy = _ended(busy, errors)
            if errors or runner.stopping:
                break
            busy.add(threads.submit(act, item))
        else:
            all_taken = True
        while busy and not errors:
            busy = _ended(busy, errors)
    except BaseException as error:
        errors.insert(0, error)
    if any(not isinstance(error, Stopped) for error in errors):
        runner.stop()
    threads.shutdown(wait=True, cancel_futures=True)
    errors += [why for each in busy if not each.cancelled() and (why := each.exception())]
    for why in errors:
        if not isinstance(why, Stopped):
            raise why
    return all_taken and not errors


def _ended(busy: set[Future[None]], errors: list[BaseException]) -> set[Future[None]]:
    """Wait a moment for some to end; add what they raised to `errors`, and return those that go on."""
    done, rest = wait(busy, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
    errors += [error for each in done if (error := each.exception())]
    return rest
