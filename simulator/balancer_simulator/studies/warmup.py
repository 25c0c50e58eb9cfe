"""Warm-up detection by MSER-5: how long a run takes to settle.

MSER-5 (White, Cobb and Spratt, "A comparison of five steady-state truncation heuristics", WSC 2000): of all beginnings
that may be left out, it takes the one after which the mean of the rest is best known. It looks at the number of
requests under way. By Little's law that settles with their times, and requests that are not over yet do not distort it.

Nothing is left out if a run has an end, a record to replay, or events at instants, because then the beginning is part
of the question.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from balancer_simulator.scenario.endpoints import TimedFault
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals

__all__ = ["PILOTS", "settled_after", "settles"]

PILOTS: Final = 2
"""Replications that are looked at, for each policy; their numbers are averaged."""

_BLOCK: Final = 5
_MOST_LEFT_OUT: Final = 0.5  # share of the run: if more must be left out, it has not settled


def settles(scenario: Scenario) -> bool:
    """Return whether to look for a warm-up: none is given, and nothing depends on the time of the run."""
    faults = [fault for model in scenario.endpoints for fault in model.faults if isinstance(fault, TimedFault)]
    timed = any(fault.from_s > 0 or math.isfinite(fault.to_s) for fault in faults) or bool(scenario.changes)
    late = any(model.from_s for model in scenario.endpoints)
    has_end = scenario.is_batch or isinstance(scenario.workload, Arrivals)
    return scenario.warmup_s is None and not (timed or late or has_end)


def settled_after(runs: Sequence[Sequence[int]]) -> float | None:
    """Return the share of the run, 0..0.5, after which it has settled; None if it does not within half of it.

    Args:
        runs: of each pilot, the numbers of requests under way at evenly spaced instants.
    """
    mean = np.mean([run[: len(runs[0])] for run in runs], axis=0)
    blocks = mean[: len(mean) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).mean(axis=1)
    count = len(blocks)
    most = int(_MOST_LEFT_OUT * count)
    rests = [blocks[left_out:] for left_out in range(most + 1)]  # a few blocks at the end may be alike by chance
    errors = [float(np.sum((rest - rest.mean()) ** 2)) / len(rest) ** 2 for rest in rests]
    left_out = int(np.argmin(errors))
    return left_out / count if left_out < most else None
