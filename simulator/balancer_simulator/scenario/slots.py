"""Slots over time: how many each endpoint has, as it joins, leaves or changes.

Decides what "all slots" are when endpoints join, leave or change. An endpoint that is drained or removed has none; one
that has crashed has all of its own. It must not know what the slots are used for.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.scenario import Scenario

__all__ = ["Steps", "slot_seconds", "slots_of"]

Steps = Sequence[tuple[float, int]]
"""From which instant (s) an endpoint has how many slots, in order."""


def slots_of(scenario: Scenario) -> dict[str, Steps]:
    """Return the steps of every endpoint, by URL."""
    return {url: _steps(scenario, url, model.capacity, model.from_s) for url, model in scenario.by_url.items()}


def _steps(scenario: Scenario, url: str, capacity: int, from_s: float) -> Steps:
    steps, there = [(from_s, capacity)], True
    for change in sorted((c for c in scenario.changes if c.url == url), key=lambda c: c.at_s):
        capacity = change.capacity or capacity
        there = change.do == "add" or (there and change.do == "update")
        steps.append((change.at_s, capacity if there else 0))
    return steps


def slot_seconds(steps: Steps, at_s: Floats) -> Floats:
    """Return slots x seconds up to each of some instants."""
    found = np.zeros(len(at_s))
    for (since_s, slots), (until_s, _) in pairwise([*steps, (math.inf, 0)]):
        found += slots * np.clip(at_s - since_s, 0.0, until_s - since_s)
    return found
