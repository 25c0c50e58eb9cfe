"""A process that works on a cluster, and sees whether a slot that it leases is used by somebody else.

    python -m tests.cluster.worker URL FOLDER [SECONDS [elsewhere]]

Each slot of an endpoint is a file that whoever uses the slot has locked; the kernel unlocks those of a dead process. A
lease that finds all files of its endpoint locked is one too many. What was done is written to FOLDER, a line each time:
when, and how many are done. A call lasts so many SECONDS, or until its lease has ended, as a call does that looks. It
ends when its input is closed. With `elsewhere` the server cannot look whether it lives, as on another machine.
"""

import fcntl
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from balancer import BalancerError, Lease, Pool

__all__ = ["CAPACITY", "be_elsewhere", "main"]

CAPACITY = 2
_WORK_S = 0.01


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


def _call(lease: Lease, work_s: float, over: threading.Event) -> None:
    until_s = time.monotonic() + work_s
    while (left_s := until_s - time.monotonic()) > 0 and not lease.ended and not over.is_set():
        time.sleep(min(_WORK_S, left_s))


def _work(pool: Pool, folder: Path, over: threading.Event, work_s: float = _WORK_S) -> None:
    done = folder / f"done.{os.getpid()}.{threading.get_ident()}"
    count = 0
    with open(done, "w", encoding="utf-8", buffering=1) as file:
        while not over.is_set():
            with suppress(BalancerError), pool.lease(timeout=20.0) as lease:
                slot = _slot(folder, lease)
                if slot < 0 and not lease.ended:
                    (folder / f"too-many.{os.getpid()}.{time.monotonic_ns()}").touch()
                _call(lease, work_s, over)
                if slot >= 0:
                    os.close(slot)
                count += 1
                file.write(f"{time.monotonic():.6f} {count}\n")


def be_elsewhere() -> None:
    """Say to no server which process this is, so that none can look whether it lives."""
    patch("balancer.cluster.tcp.connection.own_identity", lambda: None).start()


def main(url: str, folder: Path, work_s: float = _WORK_S, threads: int = 2) -> None:
    over = threading.Event()
    with Pool.connect(url, within_s=60.0) as pool:
        crew = [threading.Thread(target=_work, args=(pool, folder, over, work_s)) for _ in range(threads)]
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
    main(url, Path(folder), *map(float, more[:1]))
