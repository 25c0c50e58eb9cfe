"""Active health checks in threads: ping endpoints on a schedule, whether anybody uses them or not.

Decides when an endpoint is pinged, and tells the pool how it went. A shell: it has a thread for each endpoint, so that
one that hangs holds nobody up. It must not know what a pool makes of a ping, nor how an endpoint answers one.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self

__all__ = ["PingListener", "Prober", "Schedule", "schedules"]

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


class Schedule:
    """When one endpoint is pinged: about every `every_s` seconds, as `rng` draws."""

    def __init__(self, every_s: float, rng: random.Random) -> None:
        self._every_s = every_s
        self._rng = rng

    def first_s(self) -> float:
        """Return how long to wait before the first ping."""
        return self._rng.uniform(0.0, self._every_s)

    def next_s(self) -> float:
        """Return how long to wait before the next one."""
        return self._every_s * self._rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)


def schedules(names: Iterable[str], every_s: float, seed: int | None) -> dict[str, Schedule]:
    """Return a schedule for each of these endpoints. Raises ValueError if `every_s` is out of range."""
    if not every_s > 0:  # also catches NaN
        raise ValueError(f"every_s is {every_s!r}; it must be a number of seconds > 0")
    rng = random.Random(seed)
    return {name: Schedule(every_s, random.Random(rng.random())) for name in names}


class Prober:
    """Pings every endpoint about every `every_s` seconds while its `with` block runs.

    A ping is no lease: it takes no slot, and goes to endpoints that are ejected, too. The first comes at a random
    moment of the first interval. An interval begins when the ping before has ended. Each endpoint has a thread of its
    own, so it is for some hundreds of endpoints, not for ten thousand; where there is an event loop,
    `balancer.shells.tasks.prober` does it without threads.

    Args:
        pool: is told of each ping.
        pings: for each endpoint, by name, what returns if the endpoint is well, and raises if it is not.
        every_s: seconds between two pings of an endpoint (> 0).
        conclusive: True if each ping runs a program, so that one that goes well shows that its endpoint works.
        seed: makes the schedule repeatable; None for a random one.

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
        self._pool = pool
        self._conclusive = conclusive
        self._stopping = threading.Event()
        when = schedules(pings, every_s, seed)
        self._threads = [
            threading.Thread(target=self._go_on, args=(name, ping, when[name]), name=f"ping {name}", daemon=True)
            for name, ping in pings.items()
        ]

    def start(self) -> None:
        """Begin. It can be done once."""
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

    def _go_on(self, name: str, ping: Callable[[], object], schedule: Schedule) -> None:
        pause_s = schedule.first_s()
        while not self._stopping.wait(min(pause_s, threading.TIMEOUT_MAX)):
            ok = _answers(ping)
            if self._stopping.is_set():  # whatever it is told now may be the end of the run, not of the endpoint
                return
            self._pool.pinged(name, ok, conclusive=self._conclusive)
            pause_s = schedule.next_s()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _answers(ping: Callable[[], object]) -> bool:
    try:
        ping()
    except Exception:  # a ping may be a plugin's: however it fails, the endpoint did not answer
        return False
    return True
