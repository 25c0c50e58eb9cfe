"""Forecast of the end of a pipeline's run from its trace so far, made in another process.

A pipeline has threads that wait for each other at the end of each step, and do other things between two calls. So each
problem that is left gets as many callers, with such pauses, that the mean number of calls under way stays the same
(Little's law). What this leaves out is measured on the past: the work so far is simulated in the same way, and the rest
is stretched by the same factor as the past.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer.hookspecs import Forecast, WorkLeft
from balancer.observing.traces import Trace, read_trace
from balancer_simulator.fitting.fit import Fit, fit_trace
from balancer_simulator.predicting.backtest import FEWEST
from balancer_simulator.predicting.predict import prediction_of
from balancer_simulator.predicting.settings import STRATEGIES
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.parallel import run_each

__all__ = ["forecast", "forecast_trace"]

_LATEST: Final = 10_000  # calls of a long run that are fitted
_MOST: Final = 2_000  # calls of the rest that are simulated; a longer rest is scaled
_COMPARED: Final = 8  # fits on which another setting is tried
_CLEARLY: Final = 0.9  # share of the time: a setting that takes more is not clearly quicker


def forecast(path: str, run: str, left: WorkLeft) -> Forecast:
    """Return how much longer the run of the trace at `path` will last.

    Raises:
        ConfigError: too little is known.
    """
    trace = read_trace(path)
    mine = replace(
        trace,
        runs=[each for each in trace.runs if each.get("run") == run],
        attempts=[each for each in trace.attempts if each.run == run],
        events=[each for each in trace.events if each.run == run],
    )
    return forecast_trace(mine, left)


def forecast_trace(trace: Trace, left: WorkLeft, *, seed: int = 1) -> Forecast:
    """Return the forecast for a trace of one run."""
    ended = sum(not each.open for each in trace.attempts)
    if ended < FEWEST:
        raise ConfigError(f"{ended} calls have ended; it needs at least {FEWEST}")
    fit = fit_trace(replace(trace, attempts=sorted(trace.attempts, key=lambda each: each.granted_s)[-_LATEST:]))
    each_s = ended / max(1, left.done)  # calls of a unit
    rng = np.random.default_rng(seed)
    samples = [_sample([units * each_s for units in guess], left.at_once, rng) for guess in left.left]
    scenarios = [_scenario(fit, calls, left.at_once, rng) for calls, _ in samples]
    ends_s = _ends_s(scenarios, fit.strategy) * [times for _, times in samples]
    known_s = ends_s[~np.isnan(ends_s)] * _stretch(fit, left.at_once, rng)
    if len(known_s) <= len(scenarios) // 2:
        raise ConfigError("the offered load is more than the endpoints can do")
    found = prediction_of(known_s.tolist())
    advice = _advice(scenarios[:_COMPARED], ends_s[:_COMPARED], fit)
    return Forecast(found.value, found.low, found.high, ended, advice)


def _sample(calls: list[float], at_once: int, rng: np.random.Generator) -> tuple[list[float], float]:
    """Return whole numbers of calls of representative problems, in their order, and how many times they stand for all.

    Of many problems some are taken in full size; those of less than a call have none or one, by chance. Of few large
    ones each is taken in part.
    """
    sizes = np.floor(np.array(calls) + rng.random(len(calls)))
    least = min(len(sizes), 2 * at_once)
    order = rng.permutation(len(sizes))
    sums = np.cumsum(sizes[order])
    taken = np.sort(order[: max(least, int(np.searchsorted(sums, _MOST)) + 1)])
    some = sizes[taken]
    part = min(1.0, _MOST / max(1.0, float(some.sum())))
    some = np.maximum(1.0, np.round(part * some[some > 0]))
    return some.tolist() or [1.0], max(1.0, float(sizes.sum())) / max(1.0, float(some.sum()))


def _scenario(fit: Fit, calls: list[float], at_once: int, rng: np.random.Generator) -> Scenario:
    callers, pause_s = fit.equivalent_callers(at_once)
    stage: dict[str, Any] = {"name": "rest", "tasks": 1, "workers": callers}
    if pause_s:
        stage["think"] = {"kind": "exponential", "mean_s": pause_s}
    workload = {
        "kind": "batch", "samples": len(calls), "samples_at_once": at_once, "sizes": calls, "stages": [stage],
    }  # fmt: skip
    rate = fit.asked / max(fit.prepared.lasts_s, 1e-9)
    return fit.scenario(
        workload=workload, draw=rng, ongoing=True, replications=1, horizon_s=1.0 + 50 * at_once * sum(calls) / rate
    )


def _stretch(fit: Fit, at_once: int, rng: np.random.Generator) -> float:
    """Return the duration of the past relative to its simulation; 1 if unknown."""
    past = [[max(1.0, fit.asked / at_once)] * at_once] * _COMPARED
    ends_s = _ends_s([_scenario(fit, calls, at_once, rng) for calls in past], fit.strategy)
    return 1.0 if np.isnan(ends_s).any() else float(fit.prepared.lasts_s / np.median(ends_s))


def _ends_s(scenarios: list[Scenario], strategy: str | None) -> Any:
    records = run_each(scenarios, Policy(strategy=strategy or STRATEGIES[0]))
    return np.array([np.nan if each.makespan_s is None else each.makespan_s for each in records])


def _advice(scenarios: list[Scenario], ends_s: Any, fit: Fit) -> str:
    """Return the best setting that is clearly quicker than the present one, on the same fits; "" if there is none."""
    best, found = _CLEARLY, ""
    for words, others, strategy in _others(scenarios, fit.strategy):
        logs = np.log(_ends_s(others, strategy) / ends_s)
        if np.isnan(logs).any() or len(logs) < 2:
            continue
        reach = float(stdtrit(len(logs) - 1, 0.975)) * logs.std(ddof=1) / np.sqrt(len(logs))
        part = float(np.exp(logs.mean()))
        if np.exp(logs.mean() + reach) < _CLEARLY and part < best:
            best, found = part, f"{words} the rest would take {part:.0%} of that"
    return found


def _others(scenarios: list[Scenario], strategy: str | None) -> Iterator[tuple[str, list[Scenario], str | None]]:
    """Yield settings: a name, the scenarios to run, and the strategy. None has more calls at once than were seen."""
    for other in STRATEGIES:
        if other != strategy:
            yield f'with strategy = "{other}"', scenarios, other
    yield "with twice as many threads for each problem", [_crewed(each) for each in scenarios], strategy
    narrow = [_narrowed(each) for each in scenarios]
    if narrow != scenarios:
        names = [model.url for model in narrow[0].endpoints if model != _model(scenarios[0], model.url)]
        yield (
            f"with capacities no larger than the number of calls that {', '.join(names) or 'they'} work on at once",
            narrow,
            strategy,
        )


def _model(scenario: Scenario, url: str) -> Any:
    return next(model for model in scenario.endpoints if model.url == url)


def _crewed(scenario: Scenario) -> Scenario:
    workload: Any = scenario.workload
    stage = workload.stages[0].model_copy(update={"workers": 2 * workload.stages[0].workers})
    models = [
        model.model_copy(update={"capacity": min(model.capacity, model.seen_at_once or model.capacity)})
        for model in scenario.endpoints
    ]
    return scenario.changed(workload=workload.model_copy(update={"stages": [stage]}), endpoints=models)


def _narrowed(scenario: Scenario) -> Scenario:
    models = [
        model.model_copy(update={"capacity": min(model.capacity, model.parallel or model.capacity)})
        for model in scenario.endpoints
    ]
    return scenario.changed(endpoints=models)
