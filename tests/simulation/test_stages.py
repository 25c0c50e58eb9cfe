"""A pipeline's trace is fitted as the stages of its problems, and a batch is simulated by them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Batch, Goal, Policy, Scenario, Stage, WhatIf, plan, predict, simulate_once
from balancer_simulator.fitting.description import fit_lines
from balancer_simulator.fitting.fit import fit_run
from balancer_simulator.fitting.stages import as_batch, by_stage
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.planning.shown import plan_verdict

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Trace
from tests.simulation.scenarios import spans

LATE_S = 4.0


def fixed(mean_s):
    return {"kind": "deterministic", "mean_s": mean_s}


def batch(samples, at_once=2, **more):
    """Return problems whose inputs come late, and whose second stage takes five times as long as the first."""
    stages = [
        {"name": "inputs", "tasks": 6, "workers": 2, "kind": "inputs", "late": fixed(LATE_S)},
        {"name": "verdicts", "tasks": 12, "workers": 3, "kind": "verdicts"},
    ]
    services = {"inputs": fixed(0.1), "verdicts": fixed(0.5)}
    return Scenario.model_validate(
        {
            "workload": {"kind": "batch", "samples": samples, "samples_at_once": at_once, "stages": stages, **more},
            "endpoints": [{"url": "http://a/", "capacity": 4, "services": services}],
            "requests": {"attempts": 1, "kinds": [{"name": "inputs"}, {"name": "verdicts"}]},
            "health": None,
            "horizon_s": 1e4,
        }
    )


def traced(scenario):
    """Return the trace of a run, with names as `balancer run` writes them."""
    parts = {}

    def note(task, lease):
        parts[task.number] = task.worker.part

    record = simulate_once(scenario, Policy(strategy="fifo"), 0, observer=note)
    attempts = [
        Attempt("made", n, s.asked_s, s.started_s, s.ended_s, s.url, task=parts[s.task], outcome="success")
        for n, s in enumerate(sorted(spans(record), key=lambda span: span.started_s))
    ]
    run = {"row": "run", "version": 1, "run": "made", "strategy": "fifo"}
    return Trace(runs=[{**run, "endpoints": [{"name": "http://a/", "capacity": 4}]}], attempts=attempts)


def test_stages_have_their_own_times_threads_and_beginnings():
    found = as_batch(by_stage(traced(batch(8))).attempts, 2)
    inputs, verdicts = found["stages"]
    assert [(each["name"], each["workers"], each["kind"]) for each in (inputs, verdicts)] == [
        ("inputs 1", 2, "inputs"), ("verdicts 1", 3, "verdicts")
    ]  # fmt: skip
    assert found["counts"] == [[6, 12]] * 8
    assert inputs["late"]["values_s"] == pytest.approx([LATE_S] * 6, rel=1e-3)  # of the first two, nobody knows
    assert "late" not in verdicts


def test_names_that_are_not_of_problems_and_stages_are_no_pipeline():
    whole = traced(batch(4))
    for name in (None, "caller", "caller: 1"):
        tasks = [name and f"{name}: {each.attempt % 3}".removesuffix("" if ":" in name else f": {each.attempt % 3}")
                 for each in whole.attempts]  # fmt: skip
        named = [replace(each, task=task) for each, task in zip(whole.attempts, tasks, strict=True)]
        assert fit_run(replace(whole, attempts=named)).batch is None


def test_a_run_is_fitted_as_a_batch_that_takes_as_long():
    whole = traced(batch(10))
    fit = fit_run(whole)
    workload = fit.scenario().workload
    assert isinstance(workload, Batch)
    assert (workload.samples, workload.samples_at_once) == (10, 2)
    assert {each.name: each.share for each in fit.scenario().requests.kinds} == {"inputs": 60, "verdicts": 120}
    took = goodness_of_fit(fit).figures.loc["the run takes"]
    assert took.measured == pytest.approx(max(each.ended_s for each in whole.attempts) - LATE_S, rel=0.01)
    assert took.fitted == pytest.approx(took.measured, rel=0.12)  # the first problems are late in the fit
    assert any(line.startswith("a pipeline: 10 problems, 2 at once, through 2 stages") for line in fit_lines(fit))


def test_a_batch_may_say_how_many_tasks_each_sample_has_in_each_stage():
    counts = [[1, 2], [0, 3], [2, 0]]
    trace = traced(batch(3, counts=counts))
    assert sorted(as_batch(by_stage(trace).attempts, 2)["counts"]) == sorted(counts)
    assert np.isclose(sum(each.held_s for each in trace.attempts), 3 * 0.1 + 5 * 0.5)
    for wrong, said in (([[1, 2]], "counts has 1 values"), ([[1], [1], [1]], "there are 2 stages")):
        with pytest.raises(ValueError, match=said):
            batch(3, counts=wrong)
    with pytest.raises(ConfigError, match=r"workload.stages\[0\].kind: requests.kinds has no 'x'"):
        batch(3).changed(workload=Batch(samples=1, stages=[Stage(name="s", tasks=1, workers=1, kind="x")]))


def test_what_ifs_of_a_run_take_its_problems_through_their_stages_again():
    whole = traced(batch(10))
    really_s = max(each.ended_s for each in traced(batch(10, at_once=5)).attempts)
    found = predict(whole, WhatIf(callers=5), draws=6)
    assert found.figures["makespan_s"].value == pytest.approx(really_s, rel=0.1)
    # A trace begins with its first call, a predicted run with the time before it.
    assert found.today["makespan_s"].value - LATE_S == pytest.approx(found.recorded["makespan_s"], rel=0.01)
    assert any("the same 10 problems again, 5 at once" in line for line in found.remarks)
    with pytest.raises(ConfigError, match="--load: 2 callers wait for their answers"):
        predict(whole, WhatIf(load=2.0), draws=2)


def test_a_setting_of_a_run_has_problems_at_once():
    fit, soon = fit_run(traced(batch(8))), Goal(deadline_s=math.inf)
    found = plan(fit, soon, strategies=["fifo"], draws=3)
    assert found.present.callers == 2
    assert found.chosen.callers > 2, "its inputs come late, so more problems at once take less time"
    assert found.chosen.sure < found.present.sure
    assert "problems: sure of" in plan_verdict(found)
    twice = plan(fit, replace(soon, tasks=2 * 8 * 18), strategies=["fifo"], draws=3)
    assert twice.present.sure == pytest.approx(2 * found.present.sure, rel=0.2)
