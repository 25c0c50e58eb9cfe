"""Time budgets: how long each problem may be worked on, and what becomes of the time that others did not need.

Pure arithmetic: it is told what was spent. It must not know clocks, nor what time is spent on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Spending", "chunk", "next_allowances"]

_LEAST_S = 1.0  # a share that is smaller is not worth going back to a problem
_FIRST, _LEAST = 8, 4  # inputs between two looks at the clock
_HALF = 2  # of the time that is left, at most, until the next look


@dataclass(frozen=True, slots=True)
class Spending:
    """What a problem has spent, and whether it is hungry: more time might kill what survives."""

    spent_s: float
    hungry: bool


def next_allowances(budget_s: float, spendings: Mapping[str, Spending]) -> dict[str, float]:
    """Return what each hungry problem may have spent in the end, now that all have had their own budget.

    What is left of all budgets together is shared alike among the hungry ones; nothing is returned if that is too
    little, or if nobody is hungry.
    """
    hungry = [name for name, each in spendings.items() if each.hungry]
    left_s = budget_s * len(spendings) - sum(each.spent_s for each in spendings.values())
    if not hungry or left_s / len(hungry) < _LEAST_S:
        return {}
    return {name: spendings[name].spent_s + left_s / len(hungry) for name in hungry}


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
