"""The retry budget that all calls over a pool share, from any thread.

Decides nothing: it is `balancer.core.budget` behind a lock. It must not know when a call is tried again.
"""

import threading
from collections.abc import Callable

from balancer.core.budget import RetryBudget
from balancer.settings.rules import RetrySettings
from balancer.shells.forks import notify_of_forks

__all__ = ["SharedBudget"]


class SharedBudget:
    """A retry budget that threads share. See `RetryBudget`.

    It reads its own clock, under its lock, so that time never goes back for it; a `now` that it is given is not used.

    Args:
        settings: ratio, rate and window.
        clock: seconds; never goes back.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._lock = threading.Lock()
        notify_of_forks(self)

    def forked(self, parent: int) -> None:
        """Have a lock of its own, in a forked child: another thread may have held it just then."""
        self._lock = threading.Lock()

    def attempted(self) -> None:
        """Count a first attempt."""
        with self._lock:
            self._budget.attempted(self._clock())

    def try_spend(self, now: float | None = None) -> bool:
        """Take one retry out of the budget, if there is one."""
        with self._lock:
            spent = self._budget.try_spend(self._clock())
        return spent  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked

    def wait_s(self, now: float | None = None) -> float:
        """Return in how many seconds a retry will be possible if there is no call until then; 0: now; `inf`: never."""
        with self._lock:
            left_s = self._budget.wait_s(self._clock())
        return left_s  # noqa: RET504  # see `try_spend`
