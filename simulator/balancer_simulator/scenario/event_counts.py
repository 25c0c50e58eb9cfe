"""Event counts of a scenario: how many events a run has, and how many are too many.

Decides from means alone: what faults add is left out. It must not know the engine.
"""

from collections.abc import Iterator
from typing import Final

from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.faults import CrashRepair, Fault
from balancer_simulator.scenario.fields import ScenarioFields
from balancer_simulator.scenario.workload import Batch, Closed, OnOff, Poisson

__all__ = ["MOST_EVENTS", "faults_of", "too_much"]

# Of requests, bursts or crashes in a run: several minutes of computing, and more than any figure needs to be exact.
MOST_EVENTS: Final = 100_000_000
_ROUND_S: Final = 0.001  # a worker that does not think, and whose request is over at once, pauses so long


def too_much(scenario: ScenarioFields) -> list[str]:
    """Return a line for each key that makes more happen in a run than `MOST_EVENTS`."""
    return [
        f"{place}: makes about {number:.3g} {what} in a run, and at most {MOST_EVENTS:,} are allowed; change it or "
        f"lower horizon_s, which is {scenario.horizon_s:g}"
        for place, what, number in (*_requests(scenario), *_troubles(scenario))
        if number > MOST_EVENTS
    ]


def faults_of(scenario: ScenarioFields) -> Iterator[tuple[str, EndpointModel, Fault]]:
    """Yield each fault, the place where it stands and the endpoints that have it."""
    for number, model in enumerate(scenario.endpoints):
        for which, fault in enumerate(model.faults):
            yield f"endpoints[{number}].faults[{which}]", model, fault


def _requests(scenario: ScenarioFields) -> Iterator[tuple[str, str, float]]:
    """Yield each key that brings requests, and how many; those that are recorded are as many as there are."""
    horizon_s = scenario.horizon_s
    match scenario.workload:
        case Poisson(rate_per_s=rate):
            yield "workload.rate_per_s", "requests", rate * horizon_s
        case OnOff() as bursty:
            on = bursty.on_s / (bursty.on_s + bursty.off_s)
            yield "workload.on_rate_per_s", "requests", bursty.on_rate_per_s * on * horizon_s
            yield "workload.off_rate_per_s", "requests", bursty.off_rate_per_s * (1 - on) * horizon_s
        case Closed(workers=workers, think=think):
            round_s = max(think.mean_s + scenario.quickest_call_s, _ROUND_S)
            yield "workload.workers", "requests", horizon_s * min(scenario.rate, workers / round_s)
        case Batch(samples=samples, stages=stages):
            yield "workload.samples", "requests", float(samples * sum(stage.tasks for stage in stages))


def _troubles(scenario: ScenarioFields) -> Iterator[tuple[str, str, float]]:
    if isinstance(scenario.workload, OnOff):
        yield "workload.on_s", "bursts", scenario.horizon_s / (scenario.workload.on_s + scenario.workload.off_s)
    for place, model, fault in faults_of(scenario):
        if isinstance(fault, CrashRepair):
            yield f"{place}.mtbf_s", "crashes", len(model.urls) * scenario.horizon_s / (fault.mtbf_s + fault.mttr_s)
