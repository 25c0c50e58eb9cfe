"""A makespan that no schedule can beat.

Decides a lower bound from the work, the speeds and the longest chain. It must not know any schedule.
"""

import math
from collections.abc import Iterable

from simulator.analytic.arguments import require_not_negative, require_positive

__all__ = ["makespan_bound_s"]

_ROUNDING = 1e-9  # a chain and the total may be added up in different orders


def makespan_bound_s(work_s: Iterable[float], rates: Iterable[float], critical_path_s: float = 0.0) -> float:
    """Return a lower bound of the time in seconds to finish all tasks, from the start of the first.

    It is the greater of two: all work at the sum of all rates, and the longest chain at the greatest rate.
    It holds for every schedule in which a task is on at most one slot at a time, even one that knows all
    work beforehand and moves tasks in mid-run. It does not promise that any schedule attains it.

    Args:
        work_s: of each task, the seconds it takes at rate 1; >= 0. Without tasks the bound is 0.
        rates: of each slot, the seconds of work it does in a second, > 0; an endpoint of capacity n that
            does not slow down when it is full counts n times. At least one.
        critical_path_s: work in seconds of the longest chain of tasks that must follow one another, >= 0.
            0 if any order will do; the longest task is a chain of its own in any case.

    Raises:
        ValueError: an argument is out of its range, or the chain has more work than all tasks.

    Source: Graham (1969), SIAM J. Appl. Math. 17(2), for equal rates; the same argument holds for unequal.
    """
    tasks, speeds = list(work_s), list(rates)
    for index, work in enumerate(tasks):
        require_not_negative(f"work_s[{index}]", work)
    for index, rate in enumerate(speeds):
        require_positive(f"rates[{index}]", rate)
    if not speeds:
        raise ValueError("rates is empty; it must have the rate of at least one slot")
    require_not_negative("critical_path_s", critical_path_s)
    total = math.fsum(tasks)
    if critical_path_s > total * (1.0 + _ROUNDING):
        raise ValueError(f"critical_path_s is {critical_path_s}; it must be <= {total}, the work of all tasks")
    longest = max(critical_path_s, *tasks, 0.0)
    return max(total / math.fsum(speeds), longest / max(speeds))
