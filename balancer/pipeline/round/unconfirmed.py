"""Runs on which much hangs, and that one endpoint alone has made: kept until they are made again elsewhere.

Decides what is kept of them. It must not know which of them are made again.
"""

import threading

from balancer.judging.pending import ProgramResult
from balancer.pipeline.results.store import StoredCase
from balancer.problem import Submission

__all__ = ["UnconfirmedRuns"]

_MOST_BYTES = 4096  # an output that is longer is not kept: memory is dearer than a look


class UnconfirmedRuns:
    """What came of runs of one problem, by submission and case. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], ProgramResult] = {}

    def add(self, submission: Submission, case: StoredCase, ran: ProgramResult) -> None:
        """Keep it, unless another endpoint has said the same."""
        with self._lock:
            if ran.execution is None or ran.verified or len(ran.execution.stdout) > _MOST_BYTES:
                self._kept.pop((submission.name, case.id), None)
            else:
                self._kept[submission.name, case.id] = ran

    def take(self, submission: Submission, case: StoredCase) -> ProgramResult | None:
        """Return what is kept, and keep it no more."""
        with self._lock:
            return self._kept.pop((submission.name, case.id), None)
