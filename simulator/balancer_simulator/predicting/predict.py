"""Prediction of the rest of a run from its trace so far, by a bootstrap of the fit.

Fits to calls resampled in blocks are simulated once each (Barton, Nelson and Xie, INFORMS Journal on Computing 26,
2014: input uncertainty by the bootstrap). If one fit were simulated many times, the interval would leave out the
uncertainty of the fit, which is most of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer_simulator.fitting.fit import Fit, PlannedOutage, fit_trace
from balancer_simulator.run.record import Record
from balancer_simulator.studies.parallel import Order, run_each, run_orders

__all__ = ["DRAWS", "FIGURES", "FitDraws", "Predicted", "RunPrediction", "predict", "predict_rest", "prediction_of"]

FIGURES: Final = ("makespan_s", "throughput_per_s", "wait_mean_s", "wait_p99_s")
"""What is predicted: of the whole run when it is over, of the rest what it does."""

DRAWS: Final = 40
"""Fits that are drawn again, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """A figure: its most likely value, and the ends of an interval that holds it with a certainty of 95%."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class RunPrediction:
    """Prediction of the rest of a run.

    Attributes:
        at_s: duration of the run so far.
        remaining: number of requests that are not over yet.
        figures: by name, see `FIGURES`; `makespan_s` is that of the whole run.
        outages: by endpoint without an outage so far, how much longer the run would last if it were down for
            `outage_s`.
        outage_s: the length of such an outage.
    """

    at_s: float
    remaining: int
    figures: dict[str, Predicted]
    outages: dict[str, float]
    outage_s: float


@dataclass(frozen=True, slots=True)
class FitDraws:
    """Number of resampled fits, their seed, and the number of processes."""

    count: int = DRAWS
    seed: int = 1
    jobs: int = 1


def predict(
    rows_so_far: Trace,
    remaining: int,
    *,
    at_s: float | None = None,
    draws: int = DRAWS,
    seed: int = 1,
    jobs: int = 1,
) -> Predicted:
    """Return when a run will be over, in seconds since its first request.

    Args:
        rows_so_far: its trace up to now.
        remaining: number of requests that are not over yet.
        at_s: duration of the run so far; default: until the last event of the trace.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.

    Raises:
        ConfigError: `remaining` is negative; the trace has no calls, or no ended call; or there is no end, as callers
            come faster than they are served.
    """
    if remaining < 0:
        raise ConfigError(f"predict: found remaining {remaining}; it must be a whole number, 0 or more")
    fit = fit_trace(rows_so_far)
    found = predict_rest(
        fit, remaining, FitDraws(draws, seed, jobs), at_s=fit.prepared.lasts_s if at_s is None else at_s
    )
    if "makespan_s" not in found.figures:
        raise ConfigError("predict: the offered load is more than the endpoints can do, so it has no end")
    return found.figures["makespan_s"]


def predict_rest(
    fit: Fit,
    remaining: int,
    draws: FitDraws,
    *,
    at_s: float,
    lasts_s: float | None = None,
    outages: bool = False,
) -> RunPrediction:
    """Return the prediction of the rest of the run of `fit`.

    Args:
        remaining: number of requests that are not over yet.
        at_s: duration of the run so far.
        lasts_s: how much longer open arrivals come; default: until `remaining` have come.
        outages: also predict the effect of an outage of each endpoint that has had none.
    """
    rng = np.random.default_rng(draws.seed)
    if lasts_s is None:
        lasts_s = at_s * remaining / max(1, fit.asked)
    scenarios = [
        fit.scenario(
            workload=_rest_of(fit, remaining, lasts_s, rng), draw=rng, ongoing=True, replications=1,
            horizon_s=_horizon_s(fit, remaining, at_s, lasts_s),
        )
        for _ in range(draws.count)
    ]  # fmt: skip
    records = run_each(scenarios, fit.policy, jobs=draws.jobs)
    figures = {}
    for name in FIGURES:
        values = [value for record in records if (value := _figure(record, name, at_s)) is not None]
        if len(values) > draws.count // 2:
            figures[name] = prediction_of(values, least=at_s if name == "makespan_s" else 0.0)
    outage_s, longer = _outages(fit, remaining, at_s, lasts_s, draws) if outages else (0.0, {})
    return RunPrediction(at_s, remaining, figures, longer, outage_s)


def prediction_of(values: Sequence[float], *, least: float = 0.0, certainty: float = 0.95) -> Predicted:
    """Return the prediction of the next value, from one value of each resampled fit.

    The logarithm of the value above `least` is assumed normal (Hahn and Meeker, Statistical Intervals, 4.7), which
    covers the uncertainty of few draws. If not all values are above `least`, the values themselves are assumed normal.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"found {len(values)} values; an interval needs at least 2")
    found = np.array(values) - least
    positive = bool((found > 0).all())
    scaled = np.log(found) if positive else found
    half = float(stdtrit(len(values) - 1, 0.5 + certainty / 2)) * scaled.std(ddof=1) * math.sqrt(1 + 1 / len(values))
    ends = np.array([np.median(scaled), scaled.mean() - half, scaled.mean() + half])
    value, low, high = (np.exp(ends) if positive else np.array([ends[0], max(0.0, ends[1]), ends[2]])) + least
    return Predicted(float(value), float(low), float(high))


def _rest_of(fit: Fit, remaining: int, lasts_s: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return the workload of the rest: the same callers, or arrivals like those before."""
    if fit.caller_pattern.callers is not None:
        return fit.workload(rng, calls=max(1, remaining))
    at_s = fit.caller_pattern.at_s - fit.caller_pattern.at_s[0]
    length_s = max(float(at_s[-1]), 1e-6) * len(at_s) / max(1, len(at_s) - 1)
    block_s = length_s / max(1.0, min(20.0, len(at_s) / 10))
    found: list[float] = []
    begun_s = 0.0
    while begun_s < lasts_s:  # blocks of the record, as in `Arrivals.resample_s`
        offset_s = rng.random() * length_s
        inside = (at_s - offset_s) % length_s
        found += (begun_s + inside[inside < min(block_s, lasts_s - begun_s)]).tolist()
        begun_s += block_s
    return {"kind": "arrivals", "at_s": [round(each, 6) for each in sorted(found)] or [0.0]}


def _horizon_s(fit: Fit, remaining: int, at_s: float, lasts_s: float) -> float:
    if fit.caller_pattern.callers is None:
        return lasts_s * 1.5 + 60 * fit.typical_s
    return max(1.0, 50 * at_s * max(1.0, remaining / max(1, fit.asked)))


def _figure(record: Record, name: str, at_s: float) -> float | None:
    if name == "makespan_s":
        return None if record.makespan_s is None else at_s + record.makespan_s
    if name == "throughput_per_s":
        lasts_s = record.makespan_s or record.measured_s
        return record.completed / lasts_s if lasts_s else None
    return record.metrics.get(name)


def _outages(fit: Fit, remaining: int, at_s: float, lasts_s: float, draws: FitDraws) -> tuple[float, dict[str, float]]:
    """Return the assumed length of an outage, and the delay that it would cause, by endpoint.

    The length is that of seen outages, or else a tenth of the rest.
    """
    rng = np.random.default_rng(draws.seed)
    workload = _rest_of(fit, remaining, lasts_s, rng)
    seen = [each.troubles.mttr_s for each in fit.endpoints.values() if each.troubles.mttr_s is not None]
    left_s = lasts_s * (
        1 if fit.caller_pattern.callers is None else remaining / max(1.0, lasts_s * fit.asked / max(at_s, 1e-9))
    )
    outage_s = float(np.mean(seen)) if seen else left_s / 10
    spared = [name for name, each in fit.endpoints.items() if not each.troubles.outages]
    horizon_s = _horizon_s(fit, remaining, at_s, lasts_s)
    cases: list[tuple[PlannedOutage, ...]] = [
        (),
        *((PlannedOutage(name, left_s / 4, left_s / 4 + outage_s),) for name in spared),
    ]
    scenarios = [fit.scenario(workload=workload, outages=case, horizon_s=horizon_s) for case in cases]
    runs = range(3)  # with the same requests each
    records = run_orders(
        [Order(scenario, fit.policy, number) for scenario in scenarios for number in runs], jobs=draws.jobs
    )
    ends = np.array([record.makespan_s if record.makespan_s is not None else np.nan for record in records])
    means = ends.reshape(len(cases), len(runs)).mean(axis=1)
    return outage_s, {name: float(mean - means[0]) for name, mean in zip(spared, means[1:], strict=True)}
