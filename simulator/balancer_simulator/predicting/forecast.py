"""Forecast of the end of a pipeline's run from its trace so far, made in another process.

A pipeline has threads that wait for each other at the end of each step, and do other things between two calls. So each
problem that is left gets as many callers, with such pauses, that the mean number of calls under way stays the same
(Little's law). What this leaves out is measured on the past: the work so far is simulated in the same way, and the rest
is stretched by the same factor as the past.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer.hookspecs import Forecast, WorkLeft
from balancer.observing.traces import Attempt, Trace, read_trace
from balancer_simulator.fitting.fit import Fit, fit_trace
from balancer_simulator.fitting.stages import PipelineStages, by_stage, stages_of
from balancer_simulator.predicting.backtest import FEWEST
from balancer_simulator.predicting.predict import prediction_of
from balancer_simulator.predicting.settings import STRATEGIES
from balancer_simulator.run.record import CallSpan
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.parallel import Order, run_each, run_orders

__all__ = ["forecast", "forecast_trace"]

_LATEST: Final = 10_000  # calls of a long run that are fitted
_MOST: Final = 2_000  # calls of the rest that are simulated; a longer rest is scaled
_COMPARED: Final = 8  # fits on which another setting is tried
_FEW: Final = 3  # problems that are over
_MOSTLY: Final = 0.8  # share of the calls of the past
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
    staged = by_stage(trace)
    latest = sorted((staged or trace).attempts, key=lambda each: each.granted_s)[-_LATEST:]
    fit = fit_trace(replace(trace, attempts=latest))
    rng = np.random.default_rng(seed)
    by_stages = _StagedRest.of(fit, staged, left) if staged else None
    rest: _StagedRest | _EvenRest = by_stages or _EvenRest(fit, left.at_once)
    each_s = ended / max(1, left.done)  # calls of a unit
    samples = [_sample([units * each_s for units in guess], left.at_once, rng) for guess in left.left]
    scenarios = [_scenario(fit, rest.workload(sample, rng), left.at_once, rng) for sample in samples]
    ends_s = _ends_s(scenarios, fit.strategy) * [sample.times for sample in samples]
    known_s = ends_s[~np.isnan(ends_s)] * rest.stretch(rng)
    if len(known_s) <= len(scenarios) // 2:
        raise ConfigError("the offered load is more than the endpoints can do")
    found = prediction_of(known_s.tolist())
    advice = _advice(scenarios[:_COMPARED], ends_s[:_COMPARED], fit)
    return Forecast(found.value, found.low, found.high, ended, advice)


@dataclass(frozen=True, slots=True)
class _ProblemsLeft:
    """Representative problems: their places among those left, the calls of each, and how many times they are all."""

    places: list[int]
    calls: list[float]
    times: float


def _sample(calls: list[float], at_once: int, rng: np.random.Generator) -> _ProblemsLeft:
    """Return representative problems, in their order, with whole numbers of calls.

    Of many problems some are taken in full size; those of less than a call have none or one, by chance. Of few large
    ones each is taken in part.
    """
    sizes = np.floor(np.array(calls) + rng.random(len(calls)))
    least = min(len(sizes), 2 * at_once)
    order = rng.permutation(len(sizes))
    sums = np.cumsum(sizes[order])
    taken = np.sort(order[: max(least, int(np.searchsorted(sums, _MOST)) + 1)])
    taken = taken[sizes[taken] > 0]
    if not len(taken):
        return _ProblemsLeft([0], [1.0], max(1.0, float(sizes.sum())))
    some = sizes[taken]
    part = min(1.0, _MOST / max(1.0, float(some.sum())))
    some = np.maximum(1.0, np.round(part * some))
    return _ProblemsLeft(taken.tolist(), some.tolist(), max(1.0, float(sizes.sum())) / float(some.sum()))


def _scenario(fit: Fit, workload: dict[str, Any], at_once: int, rng: np.random.Generator) -> Scenario:
    rate = fit.asked / max(fit.prepared.lasts_s, 1e-9)
    calls = sum(workload.get("sizes") or map(sum, workload["counts"]))
    return fit.scenario(
        workload=workload, draw=rng, ongoing=True, replications=1, horizon_s=1.0 + 50 * at_once * calls / rate
    )


@dataclass(frozen=True, slots=True)
class _EvenRest:
    """The rest as problems with callers that pause: by Little's law, as many calls are under way as in the past."""

    fit: Fit
    at_once: int

    def workload(self, sample: _ProblemsLeft, rng: np.random.Generator) -> dict[str, Any]:
        """Return the workload of these problems."""
        callers, pause_s = self.fit.equivalent_callers(self.at_once)
        stage: dict[str, Any] = {"name": "rest", "tasks": 1, "workers": callers}
        if pause_s:
            stage["think"] = {"kind": "exponential", "mean_s": pause_s}
        return {
            "kind": "batch", "samples": len(sample.calls), "samples_at_once": self.at_once, "sizes": sample.calls,
            "stages": [stage],
        }  # fmt: skip

    def stretch(self, rng: np.random.Generator) -> float:
        """Return the duration of the past relative to its simulation; 1 if unknown."""
        share = max(1.0, self.fit.asked / self.at_once)
        past = _ProblemsLeft(list(range(self.at_once)), [share] * self.at_once, 1.0)
        scenarios = [_scenario(self.fit, self.workload(past, rng), self.at_once, rng) for _ in range(_COMPARED)]
        ends_s = _ends_s(scenarios, self.fit.strategy)
        return 1.0 if np.isnan(ends_s).any() else float(self.fit.prepared.lasts_s / np.median(ends_s))


@dataclass(frozen=True, slots=True)
class _StagedRest:
    """The rest as problems that go through the stages that were seen.

    Attributes:
        fit: to calls whose kinds are the stages.
        stages: those of the past.
        begun: the calls of each stage so far, of the problems at work, in the order of the estimates.
        over: the same of the problems that are over.
    """

    fit: Fit
    stages: PipelineStages
    begun: tuple[Floats, ...]
    over: tuple[Floats, ...]
    at_once: int

    @classmethod
    def of(cls, fit: Fit, trace: Trace, left: WorkLeft) -> "_StagedRest | None":
        """Return the rest of a trace whose kinds are stages; None if too few problems are over."""
        found = stages_of(trace.attempts, left.at_once)
        none = (0,) * len(found.stages)
        begun = tuple(np.array(found.counts.get(name, none), dtype=np.float64) for name in left.names)
        over = tuple(
            np.array(counts, dtype=np.float64) for name, counts in found.counts.items() if name not in left.names
        )
        if len(over) < _FEW or any(stage.kind not in fit.prepared.kinds for stage in found.stages):
            return None
        return cls(fit, found, begun, over, left.at_once)

    def workload(self, sample: _ProblemsLeft, rng: np.random.Generator) -> dict[str, Any]:
        """Return the workload of these problems: each has its calls in the stages that come after those it has done."""
        counts = []
        for place, calls in zip(sample.places, sample.calls, strict=True):
            like = self.over[rng.integers(len(self.over))]
            done = self.begun[place] if place < len(self.begun) else np.zeros_like(like)
            ahead = np.maximum(like * (done.sum() + calls) / like.sum() - done, 0.0)
            if not ahead.sum():  # it is in the last stage that it has reached
                ahead[int(np.flatnonzero(done)[-1])] = calls
            counts.append(_whole(ahead * calls / ahead.sum(), rng))
        return self._batch(counts)

    def stretch(self, rng: np.random.Generator) -> float:
        """Return the time that most of the past took, relative to its simulation; 1 if unknown.

        Not of all of it: the problems at work go on, where those of the simulation end one by one.
        """
        past = self._batch([[round(each) for each in counts] for counts in self.stages.counts.values()])
        orders = [
            Order(_scenario(self.fit, past, self.at_once, rng), self.fit.policy, number, spans=_LATEST)
            for number in range(_COMPARED)
        ]
        real = _mostly_s(self.fit.prepared.attempts)
        took_s = [found for record in run_orders(orders) if (found := _mostly_s(record.spans)) > 0]
        return real / float(np.median(took_s)) if real > 0 and len(took_s) == len(orders) else 1.0

    def _batch(self, counts: list[list[int]]) -> dict[str, Any]:
        stages = [stage.data for stage in self.stages.stages]
        at_once = min(self.at_once, len(counts))
        return {
            "kind": "batch", "samples": len(counts), "samples_at_once": at_once, "counts": counts, "stages": stages,
        }  # fmt: skip


def _mostly_s(calls: Sequence[Attempt | CallSpan]) -> float:
    """Return the seconds from the first request until most calls are over."""
    ended_s = sorted(each.ended_s for each in calls)
    return ended_s[round(_MOSTLY * len(ended_s)) - 1] - min(each.asked_s for each in calls) if ended_s else 0.0


def _whole(parts: Floats, rng: np.random.Generator) -> list[int]:
    """Return whole numbers, larger or smaller by chance; at least one call."""
    found = np.floor(parts + rng.random(len(parts))).astype(int)
    if not found.sum():
        found[int(parts.argmax())] = 1
    return [int(each) for each in found]


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
    stages = [stage.model_copy(update={"workers": 2 * stage.workers}) for stage in workload.stages]
    models = [
        model.model_copy(update={"capacity": min(model.capacity, model.seen_at_once or model.capacity)})
        for model in scenario.endpoints
    ]
    return scenario.changed(workload=workload.model_copy(update={"stages": stages}), endpoints=models)


def _narrowed(scenario: Scenario) -> Scenario:
    models = [
        model.model_copy(update={"capacity": min(model.capacity, model.parallel or model.capacity)})
        for model in scenario.endpoints
    ]
    return scenario.changed(endpoints=models)
