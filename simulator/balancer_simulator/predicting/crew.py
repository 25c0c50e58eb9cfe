"""Equivalent callers of a trace whose names have several calls at once, by Little's law.

Decides it by Little's law: so many callers, who pause for so long, that as many calls are under way on average as were.
"""

import math
from typing import Final

from balancer_simulator.fitting.fit import Fit

__all__ = ["crew_of"]

_SHORT: Final = 1e-3  # of a call: a pause that is as short is none


def crew_of(fit: Fit, at_once: int) -> tuple[int, float]:
    """Return how many callers each of `at_once` problems has, and seconds that each pauses between two calls."""
    lasts_s = max(fit.prepared.lasts_s, 1e-9)
    under_way = sum(each.ended_s - each.asked_s for each in fit.prepared.attempts) / lasts_s
    callers = max(1, math.ceil(under_way / at_once))
    pause_s = max(0.0, callers * at_once - under_way) * lasts_s / fit.asked
    return callers, pause_s if pause_s > _SHORT * fit.typical_s else 0.0
