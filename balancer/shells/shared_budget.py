"""The retry budget that all calls of a pool share, from any thread."""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from balancer.core.budget import RetryBudget
from balancer.shells.forks import notify_of_forks

if TYPE_CHECKING:
    from balancer.settings.rules import RetrySettings

__all__ = ["SharedBudget"]

_MANY = 256  # first attempts that are noted before they are counted


class SharedBudget:
    """A thread-safe `RetryBudget`.

    It reads its own clock under its lock, so that its time never goes back. It ignores a given `now`. For a signal
    handler or a finaliser that comes within a call of it, it has no retry. First attempts, of which there are many, are
    noted without the lock, and counted when a retry asks.

    Args:
        settings: ratio, rate and window.
        clock: returns seconds; never goes back.
    """

    def __init__(self, settings: "RetrySettings", clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._noted: deque[float] = deque()  # times of first attempts that are not counted yet
        self._lock = threading.RLock()  # it knows which thread holds it; none acquires it twice
        notify_of_forks(self)

    def forked(self, parent: int) -> None:
        """Make a new lock in a forked child: another thread may have held the old one."""
        self._lock = threading.RLock()

    def attempted(self) -> None:
        """Count a first attempt."""
        self._noted.append(self._clock())
        if len(self._noted) >= _MANY and not self._is_inside():
            with self._lock:
                self._count()

    def try_spend(self, now: float | None = None) -> bool:
        """Take one retry out of the budget. Return False if there is none."""
        if self._is_inside():
            return False
        with self._lock:
            self._count()
            spent = self._budget.try_spend(self._clock())
        return spent  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked

    def wait_s(self, now: float | None = None) -> float:
        """Return the seconds until a retry is possible if there is no call until then; 0: now; inf: never."""
        if self._is_inside():
            return math.inf
        with self._lock:
            self._count()
            left_s = self._budget.wait_s(self._clock())
        return left_s  # noqa: RET504  # see `try_spend`

    def _count(self) -> None:
        """Count the attempts that are noted. The lock must be held."""
        times = sorted(self._noted.popleft() for _ in range(len(self._noted)))
        if times and self._budget.part(times[0]) == self._budget.part(times[-1]):
            self._budget.attempted(times[0], len(times))
        else:
            for each in times:
                self._budget.attempted(each)

    def _is_inside(self) -> bool:
        is_owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as `threading.Condition` does
        return is_owned
