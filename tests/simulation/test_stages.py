"""A pipeline's trace is fitted as the stages of its problems, and a batch is simulated by them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Batch, EndpointModel, Policy, Requests, Scenario, Stage, simulate_once
from balancer_simulator.fitting.description import fit_lines
from balancer_simulator.fitting.fit import fit_run
from balancer_simulator.fitting.stages import by_stage, stages_of
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.planning.plan import Goal, plan
from balancer_simulator.planning.planner import FitDraws
from balancer_simulator.planning.predict import predict_next
from balancer_simulator.planning.shown import plan_verdict
from balancer_simulator.planning.what_if import WhatIf
from balancer_simulator.scenario.distributions import Deterministic
from balancer_simulator.scenario.workload import Kind
from balancer_simulator.studies.parallel import Simulators

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Trace

_LATE_S = 4.0


def batch(samples: int, **more: object) -> Scenario:
    """Return problems whose inputs come late, and whose second stage takes five times as long as the first."""
    stages = [
        Stage(name="inputs", tasks=6, workers=2, kind="inputs", late=Deterministic(mean_s=_LATE_S)),
        Stage(name="verdicts", tasks=12, workers=3, kind="verdicts"),
    ]
    times = {"inputs": Deterministic(mean_s=0.1), "verdicts": Deterministic(mean_s=0.5)}
    return Scenario(
        workload=Batch(samples=samples, samples_at_once=2, stages=stages),
        endpoints=[EndpointModel(url="http://a/", capacity=4, services=times)],
        requests=Requests(attempts=1, kinds=[Kind(name="inputs"), Kind(name="verdicts")]),
        health=None, horizon_s=1e4, **more,
    )  # fmt: skip


def traced(scenario: Scenario) -> Trace:
    """Return the trace of a run, with names as `balancer run` writes them."""
    parts: dict[int, str] = {}

    def note(task: object, lease: object) -> None:
        parts[task.number] = task.worker.part

    record = simulate_once(scenario, Policy(strategy="fifo"), 0, spans=10_000, observer=note)
    attempts = [
        Attempt("made", n, s.asked_s, s.started_s, s.ended_s, s.url, task=parts[s.task], outcome="success")
        for n, s in enumerate(sorted(record.spans, key=lambda span: span.started_s))
    ]
    run = {"row": "run", "version": 1, "run": "made", "strategy": "fifo"}
    return Trace(runs=[{**run, "endpoints": [{"name": "http://a/", "capacity": 4}]}], attempts=attempts)


def test_stages_have_their_own_times_threads_and_beginnings():
    trace = by_stage(traced(batch(8)))
    assert trace is not None
    found = stages_of(trace.attempts, 2)
    assert [(each.name, each.threads, each.kind) for each in found.stages] == [
        ("inputs", 2, "inputs"), ("verdicts", 3, "verdicts")
    ]  # fmt: skip
    assert set(found.counts.values()) == {(6, 12)}
    assert found.stages[0].late_s == pytest.approx([_LATE_S] * 6, rel=1e-3)  # of the first two, nobody knows
    assert found.stages[1].late_s.max() < 1e-3


def test_names_that_are_not_of_problems_and_stages_are_no_stages():
    trace = traced(batch(3))
    assert by_stage(Trace(runs=trace.runs, attempts=[Attempt("r", 1, 0, 0, 1, "http://a/", task="caller 1")])) is None


def test_a_run_is_fitted_as_a_batch_that_takes_as_long():
    whole = traced(batch(10))
    fit = fit_run(whole)
    scenario = fit.scenario(replications=2)
    assert isinstance(scenario.workload, Batch)
    assert (scenario.workload.samples, scenario.workload.samples_at_once) == (10, 2)
    assert [stage.name for stage in scenario.workload.stages] == ["inputs 1", "verdicts 1"]
    took = next(each for each in goodness_of_fit(fit).figures if each.name == "the run takes")
    assert took.measured == pytest.approx(max(each.ended_s for each in whole.attempts) - _LATE_S, rel=0.01)
    assert took.fitted == pytest.approx(took.measured, rel=0.12)  # the first problems are late in the fit
    assert any(line.startswith("a pipeline: 10 problems, 2 at once, through 2 stages") for line in fit_lines(fit))


def test_names_with_a_colon_are_no_pipeline():
    whole = traced(batch(4))
    callers = [replace(each, task=f"caller: {each.attempt % 3}") for each in whole.attempts]
    assert fit_run(Trace(runs=whole.runs, attempts=callers)).batch is None
    assert fit_run(Trace(runs=whole.runs, attempts=[replace(each, task=None) for each in callers])).batch is None


def test_a_batch_may_say_how_many_tasks_each_sample_has_in_each_stage():
    scenario = batch(3)
    counts = [[1, 2], [0, 3], [2, 0]]
    workload = scenario.workload.model_copy(update={"counts": counts})
    trace = traced(scenario.changed(workload=workload))
    found = stages_of((by_stage(trace) or trace).attempts, 2)
    assert sorted(found.counts.values()) == sorted(map(tuple, counts))
    assert np.isclose(sum(each.held_s for each in trace.attempts), 3 * 0.1 + 5 * 0.5)
    for wrong, said in (([[1, 2]], "counts has 1 values"), ([[1], [1], [1]], "there are 2 stages")):
        with pytest.raises(ValueError, match=said):
            Batch(samples=3, stages=workload.stages, counts=wrong)
    with pytest.raises(ConfigError, match=r"workload.stages\[0\].kind: requests.kinds has no 'x'"):
        scenario.changed(workload=Batch(samples=1, stages=[Stage(name="s", tasks=1, workers=1, kind="x")]))


def test_what_ifs_of_a_run_take_its_problems_through_their_stages_again():
    fit = fit_run(traced(batch(10)))
    changed = batch(10).changed(workload=batch(10).workload.model_copy(update={"samples_at_once": 5}))
    really_s = max(each.ended_s for each in traced(changed).attempts)
    with Simulators(1) as simulators:
        found = predict_next(fit, FitDraws(simulators, 6), WhatIf(callers=5))
        with pytest.raises(ConfigError, match="--load: 2 callers wait for their answers"):
            predict_next(fit, FitDraws(simulators, 2), WhatIf(load=2.0))
        with pytest.raises(ConfigError, match="--add: found 1000; it may be at most 500 in all"):
            predict_next(fit, FitDraws(simulators, 2), WhatIf(add={"": 1000}))
    assert found.figures["makespan_s"].value == pytest.approx(really_s, rel=0.1)
    # A trace begins with its first call, a predicted run with the time before it.
    assert found.today["makespan_s"].value - _LATE_S == pytest.approx(found.recorded["makespan_s"], rel=0.01)
    assert any("the same 10 problems again, 5 at once" in line for line in found.remarks)


def test_a_setting_of_a_run_has_problems_at_once():
    fit, soon = fit_run(traced(batch(8))), Goal(deadline_s=math.inf)
    found = plan(fit, soon, strategies=["fifo"], draws=3)
    assert found.present.callers == 2
    assert found.chosen is not None
    assert found.chosen.callers is not None
    assert found.chosen.callers > 2, "its inputs come late, so more problems at once take less time"
    assert found.chosen.sure < found.present.sure
    assert "problems: sure of" in plan_verdict(found)
    twice = plan(fit, replace(soon, tasks=2 * 8 * 18), strategies=["fifo"], draws=3)
    assert twice.present.sure == pytest.approx(2 * found.present.sure, rel=0.2)


def test_a_batch_of_twice_the_tasks_has_the_same_samples_again():
    workload = Batch(samples=3, stages=[Stage(name="s", tasks=2, workers=1)], counts=[[1], [2], [4]])
    assert (workload.calls, workload.with_calls(14).counts) == (7, [[1], [2], [4]] * 2)
    assert Batch(samples=3, stages=workload.stages).with_calls(12).samples == 6
