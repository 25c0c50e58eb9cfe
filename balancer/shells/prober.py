"""Active health checks: ping endpoints on a schedule, each in a thread, so that one that hangs delays no other."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

__all__ = ["PingListener", "Prober"]

# Each pause varies by up to so much, so that pings of different endpoints do not stay in step.
_JITTER = 0.1
# How many seconds `stop` waits for pings that run: long enough for an answer, and short for one that hangs.
_PATIENCE_S = 1.0


class PingListener(Protocol):
    """The part of a pool that the prober calls."""

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Record whether the endpoint answered. It may have gone."""
        ...


class Prober:
    """Pings each endpoint about every `every_s` seconds while its `with` block runs, and tells the pool the results.

    A ping is not a lease: it takes no slot, and goes to ejected endpoints too. The first ping comes at a random time in
    the first interval. An interval begins when the previous ping has ended. It is for some hundreds of endpoints.

    Args:
        pool: gets the result of each ping.
        pings: for each endpoint, by name, a function that returns if the endpoint is well and raises if not.
        every_s: seconds between two pings of an endpoint (> 0).
        conclusive: True if each ping runs a program, so that a good one shows that its endpoint works.
        seed: makes the schedule repeatable; None: random.

    Raises:
        ValueError: `every_s` is out of range.
    """

    def __init__(
        self,
        pool: PingListener,
        pings: Mapping[str, Callable[[], object]],
        *,
        every_s: float,
        conclusive: bool = False,
        seed: int | None = None,
    ) -> None:
        if not every_s > 0:  # also refuses NaN
            raise ValueError(f"every_s is {every_s!r}; it must be a number of seconds > 0")
        self._pool = pool
        self._every_s = every_s
        self._conclusive = conclusive
        self._stopping = threading.Event()
        rng = random.Random(seed)
        self._threads = [
            threading.Thread(
                target=self._go_on, args=(name, ping, random.Random(rng.random())), name=f"ping {name}", daemon=True
            )
            for name, ping in pings.items()
        ]

    def _go_on(self, name: str, ping: Callable[[], object], rng: random.Random) -> None:
        pause_s = rng.uniform(0.0, self._every_s)
        while not self._stopping.wait(min(pause_s, threading.TIMEOUT_MAX)):
            ok = True
            try:
                ping()
            except Exception:  # a plugin's ping may raise any error
                ok = False
            if self._stopping.is_set():  # now an error may come from the end of the run, not from the endpoint
                return
            self._pool.pinged(name, ok, conclusive=self._conclusive)
            pause_s = self._every_s * rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)

    def start(self) -> None:
        """Start the pings. May be called once."""
        if any(thread.ident for thread in self._threads):
            raise RuntimeError("a prober can be started once; make another one")
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # e.g. the machine has no more threads
            self.stop()
            raise

    def stop(self) -> None:
        """Start no more pings, and wait at most a second for those that run. May be called twice.

        A ping that hangs longer goes on in its daemon thread. Its result is not reported.
        """
        self._stopping.set()
        until_s = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, until_s - time.monotonic()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
