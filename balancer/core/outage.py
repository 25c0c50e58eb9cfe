"""Outage detection: whether any call of a run still succeeds.

It decides when an outage begins, when it is over, and when it has lasted too long to wait for its end.
"""

__all__ = ["PoolOutage"]


class PoolOutage:
    """The failures of a run since its last success, those of all calls together.

    An outage begins with the first failure and ends with any success. So all calls together wait only once for a
    permanent one.

    Args:
        patience_s: how many seconds to wait for the end of an outage; 0: not at all.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._successes = 0
        self._since_s: float | None = None

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        self._successes += 1
        self._since_s = None

    def failed(self, now: float) -> int:
        """Count a call that failed at `now`, and return how many succeeded before it."""
        if self._since_s is None:
            self._since_s = now
        return self._successes

    def excuses(self, successes: int, tried_s: float) -> bool:
        """Return whether a failure may be due to an outage whose end is still awaited.

        Args:
            successes: how many calls had succeeded when the caller's last try failed.
            tried_s: when the failed try began. A try that began within `patience_s` is excused.
        """
        if not self._patience_s or self._since_s is None or self._successes != successes:
            return False
        return tried_s - self._since_s < self._patience_s
