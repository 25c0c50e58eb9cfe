"""What makes runs cheap changes nothing else: rare collections, known endpoints, samples of what has changed."""

import gc

import pytest
from balancer_simulator import Policy, Scenario
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.endpoints import EndpointModel
from balancer_simulator.scenario.workload import Poisson

FIFO = Policy(strategy="fifo")


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def scenario(*models: EndpointModel, **more: object) -> Scenario:
    given = {"workload": Poisson(rate_per_s=2.0), "horizon_s": 30.0, **more}
    return Scenario(endpoints=list(models or [EndpointModel(url="http://h{1..4}/")]), **given)


def test_the_garbage_collector_looks_seldom_during_a_run_and_as_before_after_it():
    seen = []
    gc.set_threshold(500, 5, 5)

    def look(*_: object) -> None:
        seen.append(gc.get_threshold())
        if len(seen) == 1:
            simulate_once(scenario(), FIFO)  # a run in a run, as in another thread
            seen.append(gc.get_threshold())

    simulate_once(scenario(), FIFO, observer=look)
    assert set(seen) == {(100_000, 5, 5)}
    assert gc.get_threshold() == (500, 5, 5)
