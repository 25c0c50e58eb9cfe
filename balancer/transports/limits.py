"""Timeouts of an attempt in a thread: those of its client, lowered to what a deadline leaves.

Decides how long each step of an attempt may take, up to the head of its answer, and whether its endpoint is to blame
for one that took too long. It must not know leases, nor who decides how much is left.
"""

from typing import Any, Final

from balancer.core.decisions import Run

__all__ = ["StepTimeouts"]

_STEPS: Final = {"connect": "ConnectTimeout", "write": "WriteTimeout", "read": "ReadTimeout"}


class StepTimeouts:
    """Lowers the limits of a request to what is left until its deadline.

    Args:
        sent: a request of httpx2 or httpx; its limits are a copy of the client's from now on.
        run: says how much is left.
    """

    def __init__(self, sent: Any, run: Run) -> None:
        self._own = dict(sent.extensions.get("timeout") or {})
        lowered = [step for step in _STEPS if (own := self._own.get(step)) is None or own > run.cut_s]
        self._limits = sent.extensions["timeout"] = {**self._own, **dict.fromkeys(lowered, run.cut_s)}
        self._excused = frozenset() if run.cut_blames else frozenset(_STEPS[step] for step in lowered)

    def lift(self) -> None:
        """Let the client's own limits count: the transport below looks them up again before it reads a body."""
        self._limits.clear()
        self._limits.update(self._own)

    def excuse(self, error: Exception) -> bool:
        """Return whether `error` is of a limit that was lowered, by so much that the endpoint is not to blame."""
        return type(error).__name__ in self._excused
