"""Active health checks: ping endpoints on a schedule. In threads.

Each endpoint has a thread, so that one that hangs does not delay the others. `PingSchedule` serves tasks too.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from balancer.shells.acts import Acts, follow

__all__ = ["PingListener", "PingSchedule", "Prober"]

R = TypeVar("R")

# Each pause varies by up to so much, so that pings of different endpoints do not stay in step.
_JITTER = 0.1
# How many seconds `stop` waits for pings that run: long enough for an answer, and short for one that hangs.
_PATIENCE_S = 1.0


class PingListener(Protocol):
    """The part of a pool that the prober calls."""

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Record whether the endpoint answered. It may have gone."""
        ...


class PingSchedule(Generic[R]):
    """Pings each endpoint about every `every_s` seconds, and reports the results to the pool.

    A ping is not a lease: it takes no slot, and goes to ejected endpoints too. The first ping comes at a random time in
    the first interval. An interval begins when the previous ping has ended.

    Args:
        pool: gets the result of each ping.
        pings: for each endpoint, by name, a function that returns if the endpoint is well and raises if not. For tasks,
            a coroutine function.
        every_s: seconds between two pings of an endpoint (> 0).
        conclusive: True if each ping runs a program, so that a good one shows that its endpoint works.
        seed: makes the schedule repeatable; None: random.

    Raises:
        ValueError: `every_s` is out of range.
    """

    def __init__(
        self,
        pool: PingListener,
        pings: Mapping[str, Callable[[], R]],
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
        self._pings = [(name, ping, random.Random(rng.random())) for name, ping in pings.items()]

    def _go_on(self, name: str, ping: Callable[[], R], rng: random.Random) -> Acts[None]:
        pause_s = rng.uniform(0.0, self._every_s)
        while not (yield partial(self._pause, pause_s)):
            ok = True
            try:
                yield ping
            except Exception:  # a plugin's ping may raise any error
                ok = False
            if self._stopping.is_set():  # now an error may come from the end of the run, not from the endpoint
                return
            self._pool.pinged(name, ok, conclusive=self._conclusive)
            pause_s = self._every_s * rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)

    def _pause(self, for_s: float) -> Any:
        """Wait: an act. It returns True, perhaps earlier, if no more pings must be started."""
        raise NotImplementedError


class Prober(PingSchedule[object]):
    """Pings endpoints while its `with` block runs. Args and errors are those of `PingSchedule`.

    Each endpoint has its own thread, so it is for some hundreds of endpoints. In an event loop,
    `balancer.shells.tasks.prober` needs no threads.
    """

    _threads: tuple[threading.Thread, ...] = ()

    def start(self) -> None:
        """Start the pings. May be called once."""
        if self._threads:
            raise RuntimeError("a prober can be started once; make another one")
        self._threads = tuple(
            threading.Thread(target=follow, args=(self._go_on(*each),), name=f"ping {each[0]}", daemon=True)
            for each in self._pings
        )
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

    def _pause(self, for_s: float) -> bool:
        return self._stopping.wait(min(for_s, threading.TIMEOUT_MAX))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
