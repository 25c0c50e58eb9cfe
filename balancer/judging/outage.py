"""An outage that all threads of a run share: a lock around `balancer.core.outage`, which decides what an outage is."""

import threading

from balancer.core.outage import PoolOutage

__all__ = ["SharedOutage"]


class SharedOutage:
    """An outage that threads share. See `PoolOutage`."""

    def __init__(self, patience_s: float) -> None:
        self._outage = PoolOutage(patience_s)
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        with self._lock:
            self._outage.succeeded()

    def failed(self, now: float) -> int:
        """Count a call that failed at `now`, and return how many succeeded before it."""
        with self._lock:
            return self._outage.failed(now)

    def excuses(self, successes: int, tried_s: float) -> bool:
        """Return whether a failure may be due to an outage that is still waited for."""
        with self._lock:
            return self._outage.excuses(successes, tried_s)
