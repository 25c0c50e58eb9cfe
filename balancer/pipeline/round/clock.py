"""Clock of a problem: how long it has been at work, how much of that went to made-up inputs, and when to look again.

A shell: it reads the clock. It must not know what the time is for.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from balancer.pipeline.results.problem_times import ProblemTimes

__all__ = ["ProblemClock", "chunk"]

_FIRST, _LEAST = 8, 4  # inputs between two looks at the clock
_HALF = 2  # of the time that is left, at most, until the next look


class ProblemClock:
    """The clock of one problem, which goes on where an earlier session left it.

    Args:
        times: remembers it.
        problem: its id.
        clock: seconds.
    """

    def __init__(self, times: ProblemTimes, problem: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._times = times
        self._problem = problem
        self._clock = clock
        self._before_s, self._spent_before_s = times.of(problem)
        self._began_s = clock()
        self._spending_since_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds for which the problem was at work."""
        return self._before_s + self._clock() - self._began_s

    @property
    def spent_s(self) -> float:
        """Those of them that went to made-up inputs."""
        since_s = self._spending_since_s
        return self._spent_before_s + (0.0 if since_s is None else self._clock() - since_s)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time in the block as spent on made-up inputs."""
        self._spending_since_s = self._clock()
        try:
            yield
        finally:
            self._spent_before_s, self._spending_since_s = self.spent_s, None

    def keep(self) -> None:
        """Remember both figures: what a process that dies has spent since is lost."""
        self._times.keep(self._problem, self.elapsed_s, self.spent_s)


def chunk(left_s: float, spent_s: float, inputs: int, most: int) -> int:
    """Return how many more inputs to judge before the clock is looked at again.

    Args:
        left_s: seconds that are left; infinite without a budget.
        spent_s: seconds that were spent on made-up inputs.
        inputs: how many were judged in that time.
        most: how many are wanted.
    """
    if math.isinf(left_s):
        return most
    if not inputs or spent_s <= 0:
        return min(most, _FIRST)
    return min(most, max(_LEAST, int(left_s / _HALF / (spent_s / inputs))))
