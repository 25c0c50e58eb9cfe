"""Batches of jobs: how many are judged at once, how many results are kept, and in which order they come.

Decides that, for threads and for tasks of asyncio.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from balancer.judge.judged import Job, Judged
from balancer.judging.pending import PendingRuns

__all__ = ["in_tasks", "in_threads"]

_WINDOW = 4  # so many results are kept for each job at work, where one that is slow holds up the order
_NO_MORE = object()


def in_threads(
    jobs: Iterable[Job],
    start: Callable[[Job, int, Callable[[], bool]], PendingRuns[Judged]],
    follow: Callable[[PendingRuns[Judged]], Judged],
    workers: int,
    *,
    ordered: bool,
) -> Iterator[Judged]:
    """Yield what comes of each job. Whoever stops reading stops it, once what is under way has ended.

    Args:
        jobs: taken in as there is room, in the caller's thread.
        start: begins a job with its number, from 0, and what says whether nobody wants to know any more.
        follow: carries it out, in a thread.
        workers: how many are carried out at once.
        ordered: whether results come in the order of the jobs; else as they end.
    """
    gone = threading.Event()
    ended: SimpleQueue[Future[Judged]] = SimpleQueue()
    waiting: deque[Future[Judged]] = deque()
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
    start: Callable[[Job, int], PendingRuns[Judged]],
    follow: Callable[[PendingRuns[Judged]], Awaitable[Judged]],
    workers: int,
    *,
    ordered: bool,
) -> AsyncGenerator[Judged, None]:
    """Do in tasks of asyncio what `in_threads` does in threads; closed before the end, it cancels them."""
    room = asyncio.Semaphore(workers)
    ended: asyncio.Queue[asyncio.Task[Judged]] = asyncio.Queue()
    tasks: dict[asyncio.Task[Judged], None] = {}  # in order
    more, number = True, 0

    async def judged(started: PendingRuns[Judged]) -> Judged:
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
                task = asyncio.create_task(judged(start(job, number)))
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
