"""Sequential stopping: runs are made longer until a figure is known to a relative precision.

Whoever stops as soon as an interval is narrow stops too early: some intervals are narrow by chance, and those are the
wrong ones. So, as Law and Carson advise ("A sequential procedure for determining the length of a steady-state
simulation", Operations Research 27, 1979):

- it looks rarely: from one look to the next the runs become at least twice as long;
- it does not trust a look whose observations are too much alike: with fewer than 300 independent ones (see
  `intervals.independent`) it goes on, however narrow the interval is;
- the number of replications stays the same, at least ten. They are independent whatever their length.

Each look makes the runs again, with the same random numbers: all looks but the last cost as much as it, at most.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from balancer.errors import ConfigError
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.intervals import Interval
from balancer_simulator.studies.warmup import why_all_counts

__all__ = ["LEAST_INDEPENDENT", "Look", "first_look", "look_at", "times_longer"]

LEAST_INDEPENDENT: Final = 300.0
"""Independent observations; with fewer the interval is not trusted."""

_LEAST_RUNS: Final = 10
_LEAST_TIMES: Final = 2.0
_MOST_TIMES: Final = 8.0
_MARGIN: Final = 1.1  # an interval is as often wider as narrower than foreseen
_MOST_REQUESTS: Final = 20_000_000  # of a policy, in all replications: some minutes of computing


@dataclass(frozen=True, slots=True)
class Look:
    """What is known after the runs of some length.

    Attributes:
        times: how many times as long the next runs should be; 1.0: these are long enough, or cannot become longer.
        is_known: whether the figure is known to the wished precision, for each policy that keeps up.
    """

    times: float
    is_known: bool


def first_look(scenario: Scenario) -> Scenario:
    """Return the scenario of the first look: it has replications enough.

    Raises:
        ConfigError: longer runs would be about something else, because something depends on the time of the run.
    """
    if reason := why_all_counts(scenario):
        raise ConfigError(f"precision: it makes the runs longer, and here {reason}; raise replications instead")
    return scenario.changed(replications=max(scenario.replications, _LEAST_RUNS))


def look_at(study: StudyFindings, name: str) -> Look:
    """Return what is known of `name` after the runs of `study`. A policy that cannot keep up does not count."""
    wanted = [_times(study, policy, name) for policy in study.policies if study.keeps_up(policy)]
    times = max(wanted, default=0.0)
    came = max(sum(record.arrived for record in records) for records in study.records.values())
    most = min(_MOST_TIMES, _MOST_REQUESTS / max(1, came))
    if times <= 1 or most <= 1:
        return Look(1.0, bool(wanted) and times <= 1)
    return Look(min(most, max(_LEAST_TIMES, times)), False)


def _times(study: StudyFindings, policy: str, name: str) -> float:
    """Return how many times as long the runs of `policy` must be; up to 1: not longer."""
    found, precision = study.metrics(policy).get(name), study.scenario.precision
    if found is None or precision is None:
        return inf
    return times_longer(found, study.independent(policy), precision)


def times_longer(found: Interval, observations: float, precision: float) -> float:
    """Return how many times as long runs must be that gave this interval and so many independent observations.

    Up to 1: they are long enough.
    """
    if found.is_refused:
        return inf
    wide = found.half / (precision * abs(found.mean)) if found.mean else 0.0
    return max(LEAST_INDEPENDENT / observations, wide**2 * _MARGIN if wide > 1 else 0.0)
