"""The retry budget that all calls of a pool share, from any thread."""

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from balancer.core.budget import RetryBudget
from balancer.shells.forks import notify_of_forks

if TYPE_CHECKING:
    from balancer.settings.rules import RetrySettings

__all__ = ["SharedBudget"]

T = TypeVar("T")


class SharedBudget:
    """A thread-safe `RetryBudget`.

    It reads its own clock under its lock, so that its time never goes back. It ignores a given `now`. For a signal
    handler or a finaliser that comes within a call of it, it has no retry, and does not count its attempt.

    Args:
        settings: ratio, rate and window.
        clock: returns seconds; never goes back.
    """

    def __init__(self, settings: "RetrySettings", clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._lock = threading.RLock()  # it knows which thread holds it; none acquires it twice
        notify_of_forks(self)

    def forked(self, parent: int) -> None:
        """Make a new lock in a forked child: another thread may have held the old one."""
        self._lock = threading.RLock()

    def attempted(self) -> None:
        """Count a first attempt."""
        self._do(self._budget.attempted, None)

    def try_spend(self, now: float | None = None) -> bool:
        """Take one retry out of the budget. Return False if there is none."""
        return self._do(self._budget.try_spend, False)

    def wait_s(self, now: float | None = None) -> float:
        """Return the seconds until a retry is possible if there is no call until then; 0: now; inf: never."""
        return self._do(self._budget.wait_s, math.inf)

    def _do(self, act: Callable[[float], T], from_within: T) -> T:
        """Return `act(now)`, called under the lock; `from_within` if this thread holds it."""
        if self._lock._is_owned():  # type: ignore[attr-defined]  # as `threading.Condition` does
            return from_within
        with self._lock:
            found = act(self._clock())
        return found  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked
