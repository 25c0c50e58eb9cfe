"""What makes runs cheap changes nothing else: rare collections, known endpoints, samples of what has changed."""

import gc

import numpy as np
import pytest
from balancer_simulator import Policy, Scenario
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.endpoints import CrashRepair, EndpointModel
from balancer_simulator.scenario.workload import Poisson, Requests

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


def test_the_timeline_has_all_the_work_of_every_endpoint():
    faulty = EndpointModel(url="http://f{1..3}/", capacity=2, faults=[CrashRepair(mtbf_s=9, mttr_s=2)])
    hedged = scenario(EndpointModel(url="http://h{1..40}/"), faulty, requests=Requests(hedge_after_s=1.0, attempts=3))
    record = simulate_once(hedged, Policy(strategy="least_in_flight"))
    edges_s = record.timeline.at_s
    for row, endpoint in zip(record.timeline.utilisation, record.by_endpoint, strict=True):
        drawn_s = float(row @ np.diff(edges_s)) * endpoint.capacity
        beyond_s = endpoint.capacity * (30.0 - edges_s[-1])  # nothing is drawn after the last edge
        assert drawn_s - 1e-6 <= endpoint.busy_s <= drawn_s + beyond_s + 1e-6
