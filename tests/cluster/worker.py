"""A process that works on a cluster, and sees whether a slot that it leases is used by somebody else.

    python -m tests.cluster.worker URL FOLDER [SECONDS [THREADS [TASKS]]] [elsewhere]

Each slot of an endpoint is a file that whoever uses the slot has locked; the kernel unlocks those of a dead process. A
lease that finds all files of its endpoint locked is one too many. What was done is written to FOLDER, a line each time:
when, and how many are done. A call lasts so many SECONDS, or until its lease has ended, as a call does that looks. So
many THREADS make calls, 2 unless it says so, and as many TASKS in a loop of asyncio and in one of trio, none unless it
says so. It ends when its input is closed. With `elsewhere` the server cannot look whether it lives, as on another
machine.
"""

import asyncio
import fcntl
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from unittest.mock import patch

import trio

from balancer import BalancerError, Lease, Pool
from tests.threads.crew import until

CAPACITY = 2
_WORK_S = 0.01
Sleep = Callable[[float], Awaitable[object]]


def done(folder: Path, pid: int | str = "*") -> int:
    """Return how much that process has done, or all have."""
    files = folder.glob(f"done.{pid}.*")
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def goes_on(folder: Path, pid: int) -> None:
    """Wait until that process has done something from now on."""
    before = done(folder, pid)
    until(lambda: done(folder, pid) > before)


def _slot(folder: Path, lease: Lease) -> int:
    """Return the lock of a free slot; -1: there is none."""
    for number in range(CAPACITY):
        name = lease.endpoint.host or "host"
        file = os.open(folder / f"{name}.{number}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file
    return -1


def _taken(folder: Path, lease: Lease) -> int:
    """Return the lock of a slot of the lease, as `_slot`; write down that there is none, while it has not ended."""
    slot = _slot(folder, lease)
    if slot < 0 and not lease.ended:
        (folder / f"too-many.{os.getpid()}.{time.monotonic_ns()}").touch()
    return slot


def _call(lease: Lease, work_s: float, over: threading.Event) -> None:
    until_s = time.monotonic() + work_s
    while (left_s := until_s - time.monotonic()) > 0 and not lease.ended and not over.is_set():
        time.sleep(min(_WORK_S, left_s))


@contextmanager
def _counted(folder: Path, who: object) -> Iterator[Callable[[], None]]:
    """Yield what writes down that one more is done, into a file of `who`."""
    numbers = count(1)
    with open(folder / f"done.{os.getpid()}.{who}", "w", encoding="utf-8", buffering=1) as file:
        yield lambda: print(f"{time.monotonic():.6f} {next(numbers)}", file=file)


def _work(pool: Pool, folder: Path, over: threading.Event, work_s: float = _WORK_S) -> None:
    with _counted(folder, threading.get_ident()) as done:
        while not over.is_set():
            with suppress(BalancerError), pool.lease(timeout=20.0) as lease:
                slot = _taken(folder, lease)
                _call(lease, work_s, over)
                if slot >= 0:
                    os.close(slot)
                done()


def be_elsewhere() -> None:
    """Say to no server which process this is, so that none can look whether it lives."""
    patch("balancer.cluster.tcp.connection.own_identity", lambda: None).start()


async def _task(
    pool: Pool, folder: Path, over: threading.Event, work_s: float, sleep: Sleep, done: Callable[[], None]
) -> None:
    while not over.is_set():
        with suppress(BalancerError):
            async with pool.aio.lease(timeout=20.0) as lease:
                slot = _taken(folder, lease)
                await sleep(work_s)
                if slot >= 0:
                    os.close(slot)
                done()


def _in_asyncio(pool: Pool, folder: Path, over: threading.Event, work_s: float, tasks: int) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(_task(pool, folder, over, work_s, asyncio.sleep, done))

    with _counted(folder, "asyncio") as done:
        asyncio.run(run())


def _in_trio(pool: Pool, folder: Path, over: threading.Event, work_s: float, tasks: int) -> None:
    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(_task, pool, folder, over, work_s, trio.sleep, done)

    with _counted(folder, "trio") as done:
        trio.run(run)


def main(url: str, folder: Path, work_s: float = _WORK_S, threads: float = 2, tasks: float = 0) -> None:
    over = threading.Event()
    with Pool.connect(url, within_s=60.0) as pool:
        crew = [threading.Thread(target=_work, args=(pool, folder, over, work_s)) for _ in range(int(threads))]
        if tasks:
            at_once = (pool, folder, over, work_s, int(tasks))
            crew += [threading.Thread(target=each, args=at_once) for each in (_in_asyncio, _in_trio)]
        for thread in crew:
            thread.start()
        sys.stdin.read()
        over.set()
        for thread in crew:
            thread.join()


if __name__ == "__main__":
    url, folder, *more = sys.argv[1:]
    if "elsewhere" in more:
        be_elsewhere()
    main(url, Path(folder), *(float(each) for each in more if each != "elsewhere"))
