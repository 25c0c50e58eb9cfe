"""What is forecast of a pipeline's run, whose truth is a simulated batch, is what comes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Batch, EndpointModel, Lognormal, Policy, Requests, Scenario, Stage, simulate_once
from balancer_simulator.fitting.calls import until
from balancer_simulator.predicting.forecast import forecast_trace
from balancer_simulator.world.batch import works_of
from balancer_simulator.world.streams import Streams
from balancer_simulator.world.task import Task

from balancer.endpoint import Lease
from balancer.errors import ConfigError
from balancer.hookspecs import Forecast, WorkLeft
from balancer.observing.traces import Attempt, Trace

_GUESSES = 20


def batch(seed: int, **changes: object) -> Scenario:
    stages = [Stage(name="outputs", tasks=15, workers=4), Stage(name="verdicts", tasks=30, workers=4)]
    means = {"a": 0.05, "b": 0.05, "c": 0.15}
    return Scenario(
        workload=Batch(samples=12, samples_at_once=2, stages=stages, task_spread=0.5),
        endpoints=[
            EndpointModel(url=f"http://{n}/", capacity=2, service=Lognormal(mean_s=mean_s, cv=0.4))
            for n, mean_s in means.items()
        ],
        requests=Requests(attempts=1), policies=[Policy(strategy="fifo")], health=None, seed=seed, horizon_s=1e4,
        **changes,
    )  # fmt: skip


def cut(scenario: Scenario, part: float) -> tuple[Trace, WorkLeft, float]:
    """Return a trace of a part of a run, what is left of it, and for how much longer it lasted."""
    of: dict[int, str] = {}

    def note(task: Task, lease: Lease) -> None:
        assert task.worker is not None
        of[task.number] = task.worker.part.partition(":")[0]

    record = simulate_once(scenario, Policy(strategy="fifo"), 0, spans=100_000, observer=note)
    spans = sorted(record.spans, key=lambda span: span.started_s)
    attempts = [
        Attempt("made", n, span.asked_s, span.started_s, span.ended_s, span.url, outcome="success")
        for n, span in enumerate(spans)
    ]
    endpoints = [{"name": url, "capacity": model.capacity} for url, model in scenario.by_url.items()]
    run = {"row": "run", "version": 1, "run": "made", "strategy": "fifo", "endpoints": endpoints}
    at_s = sorted(span.ended_s for span in spans)[int(part * len(spans))]
    whole = Counter(of[span.task] for span in spans)
    done = Counter(of[span.task] for span in spans if span.ended_s <= at_s)
    left = tuple(whole[name] - done[name] for name in sorted(whole, key=lambda name: int(name.split()[1])))
    left = tuple(each for each in left if each)
    assert record.makespan_s is not None
    trace = until(Trace(runs=[run], attempts=attempts), at_s)
    return trace, WorkLeft(done.total(), (left,) * _GUESSES, 2), record.makespan_s - at_s


@pytest.mark.more
def test_the_end_of_a_batch_is_forecast_from_what_is_left_of_each_problem() -> None:
    found: list[tuple[Forecast, float]] = []
    for seed in range(1, 5):
        trace, left, came_s = cut(batch(seed), 0.3)
        found.append((forecast_trace(trace, left), came_s))
    assert sum(told.low_s <= came_s <= told.high_s for told, came_s in found) >= 2, found
    assert np.median([abs(told.left_s / came_s - 1) for told, came_s in found]) < 0.1, found


def test_a_last_problem_that_is_long_is_long_by_itself() -> None:
    trace, left, _ = cut(batch(1), 0.3)
    total = sum(left.left[0])
    even = forecast_trace(trace, replace(left, left=((total // 10,) * 10,) * _GUESSES))
    uneven = forecast_trace(trace, replace(left, left=((total - 9, *(1,) * 9),) * _GUESSES))
    assert uneven.low_s > even.high_s  # four threads, where there were eight


def test_what_nobody_knows_of_what_is_left_is_in_the_interval() -> None:
    trace, left, _ = cut(batch(1), 0.3)
    guess = left.left[0]
    sure = forecast_trace(trace, left)
    other = tuple(max(1, each // 3) for each in guess)
    unsure = forecast_trace(trace, replace(left, left=(guess, other) * (_GUESSES // 2)))
    assert unsure.high_s - unsure.low_s > 2 * (sure.high_s - sure.low_s)


@pytest.mark.more
def test_a_long_rest_is_in_proportion() -> None:
    trace, left, _ = cut(batch(1), 0.3)
    short = forecast_trace(trace, replace(left, left=((500,) * 10,) * 5))
    long = forecast_trace(trace, replace(left, left=((50_000,) * 10,) * 5))
    assert long.left_s == pytest.approx(100 * short.left_s, rel=0.1)


@pytest.mark.more
@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.more), 10])
def test_a_rest_of_many_small_problems_is_in_proportion(size: int) -> None:
    trace, left, _ = cut(batch(1), 0.3)
    some = forecast_trace(trace, replace(left, left=((size,) * (1200 // size),) * 3))
    many = forecast_trace(trace, replace(left, left=((size,) * (24_000 // size),) * 3))
    assert many.left_s == pytest.approx(20 * some.left_s, rel=0.1)


def test_threads_that_are_missing_are_advised_and_few_calls_tell_nothing() -> None:
    few = batch(1)
    stage = Stage(name="one", tasks=40, workers=1)
    slow = few.changed(workload=Batch(samples=12, samples_at_once=2, stages=[stage]))
    trace, left, _ = cut(slow, 0.4)
    advice = forecast_trace(trace, left).advice
    assert advice.startswith("with twice as many threads for each problem the rest would take "), advice
    busy, left, _ = cut(few, 0.4)
    assert "threads" not in forecast_trace(busy, left).advice
    with pytest.raises(ConfigError, match="calls have ended; it needs at least 50"):
        forecast_trace(until(trace, 0.5), left)


def test_a_batch_may_say_how_large_each_sample_is() -> None:
    scenario = batch(1).changed(
        workload=Batch(samples=3, samples_at_once=2, sizes=[1, 0.01, 2], stages=[Stage(name="s", tasks=10, workers=2)])
    )
    works, _ = works_of(scenario, scenario.workload, Streams(1, 0))
    assert [len(stages[0]) for stages in works] == [10, 1, 20]
    with pytest.raises(ValueError, match="sizes has 1 values, but there are 2 samples"):
        Batch(samples=2, sizes=[1.0], stages=[Stage(name="s", tasks=1, workers=1)])
    with pytest.raises(ValueError, match="either task_spread or sizes"):
        Batch(samples=1, sizes=[1.0], task_spread=0.5, stages=[Stage(name="s", tasks=1, workers=1)])
