"""Batches of jobs: carried out in threads or in tasks of asyncio.

Decides how many jobs run at once, how many results are kept, and the order of the results.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

from balancer.judging.pending import PendingRuns

__all__ = ["in_tasks", "in_threads"]

_WINDOW = 4  # results kept for each job at work, while a slow job holds up the order
_NO_MORE = object()

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_threads(
    jobs: Iterable[Job],
    start: Callable[[Job, int, Callable[[], bool]], PendingRuns[Result]],
    follow: Callable[[PendingRuns[Result]], Result],
    workers: int,
    *,
    ordered: bool,
) -> Iterator[Result]:
    """Yield the result of each job.

    If the caller stops reading, no further run starts. Closing the generator waits for the runs under way.

    Args:
        jobs: read in the caller's thread, when there is room.
        start: begins a job. It gets the job, its number from 0, and a function that returns whether the caller has
            stopped.
        follow: carries the job out, in a thread.
        workers: jobs that are carried out at once.
        ordered: True: results in the order of the jobs; False: as they end.
    """
    gone = threading.Event()
    ended: SimpleQueue[Future[Result]] = SimpleQueue()
    waiting: deque[Future[Result]] = deque()
    threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
    numbered, more, out = enumerate(jobs), True, 0
    try:
        while True:
            while more and out < _WINDOW * workers:
                taken = next(numbered, None)
                if taken is None:
                    more = False
                    break
                future = threads.submit(follow, start(taken[1], taken[0], gone.is_set))
                out += 1
                if ordered:
                    waiting.append(future)
                else:
                    future.add_done_callback(ended.put)
            if not out:
                return
            found = (waiting.popleft() if ordered else ended.get()).result()
            out -= 1
            yield found
    finally:
        gone.set()
        threads.shutdown(wait=True, cancel_futures=True)


async def in_tasks(
    jobs: Iterable[Job] | AsyncIterable[Job],
    start: Callable[[Job, int], PendingRuns[Result]],
    follow: Callable[[PendingRuns[Result]], Awaitable[Result]],
    workers: int,
    *,
    ordered: bool,
) -> AsyncGenerator[Result, None]:
    """Carry out jobs in tasks of asyncio, as `in_threads` in threads. Closing the generator early cancels the tasks."""
    room = asyncio.Semaphore(workers)
    ended: asyncio.Queue[asyncio.Task[Result]] = asyncio.Queue()
    tasks: dict[asyncio.Task[Result], None] = {}  # in order
    more, number = True, 0

    async def carried_out(started: PendingRuns[Result]) -> Result:
        async with room:
            return await follow(started)

    source = _each(jobs)
    try:
        while True:
            while more and len(tasks) < _WINDOW * workers:
                job: Any = await anext(source, _NO_MORE)
                if job is _NO_MORE:
                    more = False
                    break
                task = asyncio.create_task(carried_out(start(job, number)))
                number += 1
                tasks[task] = None
                if not ordered:
                    task.add_done_callback(ended.put_nowait)
            if not tasks:
                return
            task = next(iter(tasks)) if ordered else await ended.get()
            found = await task
            del tasks[task]
            yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await source.aclose()


async def _each(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncGenerator[Any, None]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
        return
    for job in jobs:
        yield job
