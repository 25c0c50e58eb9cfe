"""Active health checks: ping endpoints on a schedule, whether anybody uses them or not. Here in threads.

Decides, for tasks too, when an endpoint is pinged, and tells the pool how it went. A shell: it has a thread for each
endpoint, so that one that hangs holds nobody up. It must not know what a pool makes of a ping, nor how an endpoint
answers one.
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

# Each pause differs from the next by up to so much, so that endpoints that were started together drift apart.
_JITTER = 0.1
# How long `stop` waits for pings under way, in seconds: enough for those that get an answer, and no run ends later for
# one that hangs.
_PATIENCE_S = 1.0


class PingListener(Protocol):
    """What the prober needs of a pool."""

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Learn whether the endpoint answered; one that has gone does not matter."""
        ...


class PingSchedule(Generic[R]):
    """Which endpoints are pinged, about every `every_s` seconds, and what the pool is told of it.

    A ping is no lease: it takes no slot, and goes to endpoints that are ejected, too. The first comes at a random
    moment of the first interval. An interval begins when the ping before has ended.

    Args:
        pool: is told of each ping.
        pings: for each endpoint, by name, what returns if the endpoint is well, and raises if it is not; for tasks a
            coroutine function.
        every_s: seconds between two pings of an endpoint (> 0).
        conclusive: True if each ping runs a program, so that one that goes well shows that its endpoint works.
        seed: makes the schedule repeatable; None for a random one.

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
        if not every_s > 0:  # also catches NaN
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
            except Exception:  # a ping may be a plugin's: however it fails, the endpoint did not answer
                ok = False
            if self._stopping.is_set():  # whatever the pool is told now may be the end of the run, not of the endpoint
                return
            self._pool.pinged(name, ok, conclusive=self._conclusive)
            pause_s = self._every_s * rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)

    def _pause(self, for_s: float) -> Any:
        """Wait: an act. It returns True, perhaps sooner, if no more pings are to be started."""
        raise NotImplementedError


class Prober(PingSchedule[object]):
    """Pings endpoints while its `with` block runs. Args and errors are those of `PingSchedule`.

    Each endpoint has a thread of its own, so it is for some hundreds of endpoints, not for ten thousand; where there is
    an event loop, `balancer.shells.tasks.prober` does it without threads.
    """

    _threads: tuple[threading.Thread, ...] = ()

    def start(self) -> None:
        """Begin. It can be done once."""
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
        """Start no more pings, and wait a second at most for those under way. May be called twice.

        One that hangs longer goes on in its thread, a daemon, and the pool is not told of it.
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
