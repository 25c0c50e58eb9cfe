"""A user's own SimPy processes in a run: they change the pool, make requests, and look; nothing else is disturbed."""

from collections.abc import Generator
from typing import Any

import pytest
import simpy
from balancer_simulator import JoinedRun, Policy, simulate_once

from balancer.errors import ConfigError, UnknownEndpoint
from tests.simulation.scenarios import arriving, at, batch, calls, closed, endpoint, run

Steps = Generator[simpy.Event, Any, None]


def drains_a(joined: JoinedRun) -> Steps:
    yield joined.env.timeout(1.0)
    joined.change("drain", "a")
    yield joined.env.timeout(4.0)
    joined.change("add", "a")


def test_an_operator_does_what_changes_of_the_scenario_do():
    pair, instants = (endpoint("a"), endpoint("b")), [0, 0, 1, 5.25]
    changes = [{"at_s": 1.0, "do": "drain", "url": "a"}, {"at_s": 5.0, "do": "add", "url": "a"}]
    declared, done = run(at(instants, 2, *pair, changes=changes)), run(at(instants, 2, *pair), processes=[drains_a])
    assert calls(done) == calls(declared)
    assert done.metrics == declared.metrics  # the slots of a drained endpoint are not there to be used


def test_a_load_that_changes_is_a_process_that_asks():
    answers = []

    def rush(joined: JoinedRun) -> Steps:
        yield joined.env.timeout(2.0)
        first, second = joined.request(1.0), joined.request(3.0)
        assert (joined.in_flight("a"), joined.waiting) == (1, 1)
        yield first & second
        answers.append((joined.env.now, first.value, second.value))

    record = run(at([0], 1), processes=[rush])
    assert answers == [(6.0, True, True)]
    assert [(start, end) for _, _, start, end, _ in calls(record)] == [(0, 1), (2, 3), (3, 6)]
    assert record.completed == 3


@pytest.mark.parametrize("scenario", [closed(2, 0.5, 1.0), batch([{"name": "s", "tasks": 9, "workers": 2}])])
def test_requests_of_a_process_stand_beside_those_of_any_workload(scenario):
    ends = []

    def one(joined: JoinedRun) -> Steps:
        assert (yield joined.request(0.25))
        ends.append(joined.env.now)

    alone, joined = run(scenario), run(scenario, processes=[one])
    assert len(ends) == 1
    assert joined.crews[0] != (), "the workers went on"
    assert abs(joined.completed - alone.completed) <= 1


def test_a_request_that_is_lost_is_told():
    told = []

    def one(joined: JoinedRun) -> Steps:
        told.append((yield joined.request(1.0, "hasty")))

    kinds = [{"name": "a"}, {"name": "hasty", "acquire_timeout_s": 0.5}]
    record = run(at([0], 9, requests={"kinds": kinds}), processes=[lambda joined: _after(joined, 0.25, one)])
    assert told == [False]
    assert record.timed_out == 1


def _after(joined: JoinedRun, delay_s: float, process: Any) -> Steps:
    yield joined.env.timeout(delay_s)
    yield joined.env.process(process(joined))


def test_processes_may_interrupt_one_another_and_the_run_is_what_it_was():
    def clock(joined: JoinedRun) -> Steps:
        def sleeper() -> Steps:
            try:
                yield joined.env.timeout(1e9)
            except simpy.Interrupt:
                woken.append(joined.env.now)

        sleeping = joined.env.process(sleeper())
        yield joined.env.timeout(3.0)
        sleeping.interrupt()

    woken: list[float] = []
    scenario = arriving(1.5, endpoint("a", capacity=2), horizon_s=50.0)
    policy = Policy(strategy="least_in_flight")
    assert simulate_once(scenario, policy, processes=[clock]).metrics == simulate_once(scenario, policy).metrics
    assert woken == [3.0]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda joined: joined.change("drain", "elsewhere"), UnknownEndpoint),
        (lambda joined: joined.change("update", "a"), ValueError),
        (lambda joined: joined.request(1.0, "unheard"), ConfigError),
        (lambda joined: joined.request(-1.0), ValueError),
        (lambda joined: 1 / 0, ZeroDivisionError),
    ],
)
def test_what_goes_wrong_comes_out_of_the_run(act, error):
    def wrong(joined: JoinedRun) -> Steps:
        yield joined.env.timeout(1.0)
        act(joined)

    with pytest.raises(error) as caught:
        run(at([0], 1), processes=[wrong])
    assert any("at 1 s" in note for note in caught.value.__notes__)
