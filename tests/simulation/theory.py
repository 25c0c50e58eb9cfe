"""Holds what is simulated against what theory says, with an error that the runs themselves tell."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any

from balancer_simulator import Policy, Record, Scenario, simulate_once

Theory = Callable[[float], float]
"""What a figure should be if all calls take so many times as long as they should."""

RUNS = 8


def hold(values: Sequence[float], theory: Theory, *, error: float = 0.02, bias: float = 0.0, off: float = 0.05) -> None:
    """Hold the mean of `values`, one of each run, against `theory`.

    Args:
        error: the standard error may be this part of the mean, and no more.
        bias: the theory, or the measurement, is known to be off by up to this part.
        off: calls that take this part more or less must be noticed.
    """
    mean = fmean(values)
    standard_error = stdev(values) / math.sqrt(len(values))

    def agrees(expected: float) -> bool:
        return abs(mean - expected) <= 4 * standard_error + bias * expected

    found = f"{mean:.5g} +- {standard_error:.2g} (theory: {theory(1.0):.5g})"
    assert standard_error <= error * mean, f"{found}: the runs are too short to tell"
    assert agrees(theory(1.0)), found
    assert not agrees(theory(1 - off)), f"{found}: would pass with calls that are too short"
    assert not agrees(theory(1 + off)), f"{found}: would pass with calls that are too long"


def runs(scenario: Scenario, policy: str, count: int = RUNS, **values: Any) -> list[Record]:
    return [simulate_once(scenario, Policy(strategy=policy), number, **values) for number in range(count)]


def poisson(rate_per_s: float, count: int, warmup_s: float, **values: Any) -> Scenario:
    """Return a scenario with so many requests in the time that counts."""
    horizon_s = warmup_s + count / rate_per_s
    workload = {"kind": "poisson", "rate_per_s": rate_per_s}
    times = {"horizon_s": horizon_s, "warmup_s": warmup_s}
    return Scenario.model_validate({"workload": workload, **times, "work": exponential(), "health": None, **values})


def exponential(mean_s: float = 1.0) -> dict[str, Any]:
    return {"kind": "exponential", "mean_s": mean_s}


def queues(count: int, **values: Any) -> list[dict[str, Any]]:
    """Return endpoints that take any number of requests and work on one at a time: they queue inside."""
    return [{"url": f"http://server-{{1..{count}}}/", "capacity": 10_000, "parallel": 1, **values}]


def waits(records: Sequence[Record]) -> list[float]:
    return [record.wait.mean for record in records]


def sojourns(records: Sequence[Record]) -> list[float]:
    """Return the mean sojourn of each run: of requests that have ended.

    The long ones that have not ended are missing, about as many as there are in the system: in a run of 1000 sojourns
    or more it is a thousandth of the mean or less.
    """
    return [record.sojourn.mean for record in records]


def sojourns_of_all(records: Sequence[Record]) -> list[float]:
    """Return the mean sojourn of each run by Little's law, where requests spend all of it on an endpoint.

    Slot-seconds by calls: nothing is missing, so runs may be short.
    """
    return [sum(e.busy_s for e in r.by_endpoint) / sum(e.calls for e in r.by_endpoint) for r in records]
