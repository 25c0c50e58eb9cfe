"""Outage detection: whether anything in a run still succeeds.

Decides when an outage begins, when it is over, and when it has lasted too long to be waited for. Pure: time arrives as
`now`. It must not know endpoints, nor what a call does.
"""

from typing import Protocol

__all__ = ["Patience", "PoolOutage"]


class Patience(Protocol):
    """What a plan needs of an outage; a shell with threads gives one that they can share."""

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        ...

    def failed(self, now: float) -> int:
        """Count a call that failed at `now`, and return how many succeeded before it."""
        ...

    def excuses(self, successes: int, tried_s: float) -> bool:
        """Return whether a failure may be due to an outage that is still waited for."""
        ...


class PoolOutage:
    """The failures of a run since its last success, those of all calls together.

    It begins with the first failure and ends with any success; so a permanent one is waited for once, by all at once.

    Args:
        patience_s: how long an outage is waited for; 0: not at all.
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
        """Return whether a failure may be due to an outage that is still waited for.

        Args:
            successes: how many calls had succeeded when whoever asks failed the time before.
            tried_s: when the try that failed began: one that began within the patience may have come too early.
        """
        if not self._patience_s or self._since_s is None or self._successes != successes:
            return False
        return tried_s - self._since_s < self._patience_s
