"""How many interrupted `with pool.lease()` leave their slot out.

A thread leases and gives back without a pause; another makes an exception rise in it at a moment of its own choosing
(`PyThreadState_SetAsyncExc`), as debuggers, time-out libraries and notebooks do. The thread ends by it, and then the
pool is asked what is still out, and whether all its slots can be leased. Each time with a pool of its own.
"""

import ctypes
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from balancer import AcquireTimeout, Endpoint, Lease, Pool

_SLOTS = 2


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt."""


@dataclass(slots=True)
class Count:
    """What came of the interrupts.

    Attributes:
        interrupted: threads that ended by one.
        out: of these, how many left a slot out by the pool's own figures.
        lost: of these, how many left a slot that nobody could lease any more.
    """

    interrupted: int = 0
    out: int = 0
    lost: int = 0


class _Worker(threading.Thread):
    def __init__(self, pool: Pool) -> None:
        super().__init__(daemon=True)
        self.pool = pool
        self.busy = threading.Event()
        self.hit = False

    def run(self) -> None:
        try:
            while True:
                with self.pool.lease():
                    self.busy.set()
        except Interrupted:
            self.hit = True

    def interrupt(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident or 0), ctypes.py_object(Interrupted))


def count_interrupts(interrupts: int, *, seed: int = 1, strategy: str = "least_in_flight") -> Count:
    """Interrupt so many threads, each once, and count what they leave behind."""
    rng, count = random.Random(seed), Count()
    while count.interrupted < interrupts:
        pool = Pool([Endpoint("a", capacity=_SLOTS)], strategy=strategy, seed=1)
        worker = _Worker(pool)
        worker.start()
        worker.busy.wait(10)
        time.sleep(rng.random() * 0.0005)
        worker.interrupt()
        worker.join(10)
        assert not worker.is_alive(), f"the thread was not interrupted, or the pool is locked: {pool!r}"
        count.interrupted += worker.hit
        if worker.hit:
            count.out += pool.stats().endpoints[0].in_flight > 0
            count.lost += _leased(pool) < _SLOTS
    return count


def _leased(pool: Pool) -> int:
    leases: list[Lease] = []
    with suppress(AcquireTimeout):
        for _ in range(_SLOTS):
            leases.append(pool.acquire(timeout=0))
    return len(leases)
