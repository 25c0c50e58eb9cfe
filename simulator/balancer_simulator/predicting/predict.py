"""Prediction of a run from a trace: of its rest, or of the next one with changes, by a bootstrap of the fit.

Fits to calls resampled in blocks are simulated once each (Barton, Nelson and Xie, INFORMS Journal on Computing 26,
2014: input uncertainty by the bootstrap). If one fit were simulated many times, the interval would leave out the
uncertainty of the fit, which is most of it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer_simulator.fitting.calls import FEWEST
from balancer_simulator.fitting.fit import Fit, PlannedOutage, fit_run, fit_trace
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.predicting.changes import WhatIf, block_of, blocks_of, scaled_arrivals, whole_of
from balancer_simulator.predicting.goodness import goodness_of_fit
from balancer_simulator.predicting.predicted import FAR, Predicted, PredictedRun
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals
from balancer_simulator.studies.parallel import Order, Simulators

__all__ = [
    "DRAWS", "FIGURES", "NEXT_FIGURES", "FitDraws", "RunPrediction", "predict", "predict_next",
    "predict_rest", "prediction_of", "recorded_figures",
]  # fmt: skip

FIGURES: Final = ("makespan_s", "throughput_per_s", "wait_mean_s", "wait_p99_s")
"""What is predicted of the rest of a run: of the whole run when it is over, of the rest what it does."""

NEXT_FIGURES: Final = (
    "sojourn_mean_s", "sojourn_p50_s", "sojourn_p99_s", "wait_mean_s", "wait_p99_s", "makespan_s", "throughput_per_s",
    "lost",
)  # fmt: skip
"""What is predicted of a next run."""

DRAWS: Final = 40
"""Fits that are drawn again, unless told otherwise."""

_REPLICATIONS: Final = 3  # of an outage, with the same requests each
_AROUND: Final = 4  # lengths of an outage that are simulated around it
_DRAINS: Final = 20.0  # times the arrivals: when a queue that has grown is over
_AGAIN: Final = 5  # outages of an endpoint from which on their rate is no longer rough
_BEHIND: Final = 0.1  # share of the run: if its end is later than the last arrival by this, a queue has grown


@dataclass(frozen=True, slots=True)
class RunPrediction(PredictedRun):
    """Prediction of one run. As text, a table with units."""

    def __str__(self) -> str:
        from balancer_simulator.predicting.shown import prediction_text  # it loads rich

        return prediction_text(self)


@dataclass(frozen=True, slots=True)
class FitDraws:
    """Number of resampled fits, their seed, and what runs them."""

    simulators: Simulators
    count: int = DRAWS
    seed: int = 1


def predict(
    rows_so_far: Trace,
    remaining: int | None = None,
    *,
    change: WhatIf | None = None,
    at_s: float | None = None,
    draws: int = DRAWS,
    seed: int = 1,
    jobs: int = 1,
) -> RunPrediction:
    """Return the prediction of the rest of a run or, without `remaining`, of the next run like it.

    Args:
        rows_so_far: its trace up to now.
        remaining: number of requests that are not over yet; None: predict one next run.
        change: of a next run: what differs from today.
        at_s: duration of the run so far; default: until the last event of the trace.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.

    Raises:
        ConfigError: `remaining` is negative; the trace has no calls, or no ended call; there is no end, as callers
            come faster than they are served; or a change does not apply.
    """
    if remaining is not None and remaining < 0:
        raise ConfigError(f"predict: found remaining {remaining}; it must be a whole number, 0 or more")
    if remaining is not None and change:
        raise ConfigError("predict: found remaining and change; give one of the two")
    if change is not None:
        change.check()
    fit = fit_run(rows_so_far) if remaining is None else fit_trace(rows_so_far)
    with Simulators(jobs) as simulators:
        drawn = FitDraws(simulators, draws, seed)
        if remaining is None:
            return predict_next(fit, drawn, change or WhatIf())
        found = predict_rest(fit, remaining, drawn, at_s=fit.prepared.lasts_s if at_s is None else at_s)
    if "makespan_s" not in found.figures:
        raise ConfigError("predict: the offered load is more than the endpoints can do, so it has no end")
    return found


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
    outage_s, cases = _outage_cases(fit, remaining, at_s, lasts_s, draws.seed) if outages else (0.0, {})
    # All in one go, so that no process waits for another.
    orders = [Order(scenario, fit.policy, number) for number, scenario in enumerate(scenarios)]
    orders += [Order(each, fit.policy, number) for each in cases.values() for number in range(_REPLICATIONS)]
    records = draws.simulators.records(orders)
    rest, later = records[: draws.count], records[draws.count :]
    figures = {}
    for name in FIGURES:
        values = [value for record in rest if (value := _figure(record, name, at_s)) is not None]
        if len(values) > draws.count // 2:
            figures[name] = prediction_of(values, least=at_s if name == "makespan_s" else 0.0)
    longer = _longer(list(cases), later)
    return RunPrediction(at_s, remaining, figures, longer, outage_s, draws=draws.count)


def predict_next(fit: Fit, draws: FitDraws, change: WhatIf) -> RunPrediction:
    """Return the prediction of one next run with a change, beside one like today's: on the same fits and requests.

    Raises:
        ConfigError: too few calls have ended, or the change does not apply.
    """
    if fit.few:
        raise ConfigError(f"predict: {fit.prepared.ended} calls have ended in the trace; it needs at least {FEWEST}")
    change = change.resolved(fit)
    today = [_next_of(fit, change.today, draws.seed, number) for number in range(draws.count)]
    then = [_next_of(fit, change, draws.seed, number) for number in range(draws.count)] if change.differs else []
    orders = [Order(each, fit.policy, number) for number, each in enumerate(today)]
    orders += [Order(each, change.policy(fit.policy), number) for number, each in enumerate(then)]
    recorded = _as_recorded(fit, change, draws)
    orders += [Order(each, change.policy(fit.policy), number) for number, each in enumerate(recorded)]
    records = draws.simulators.records(orders)
    runs = [records[place : place + draws.count] for place in range(0, len(records), draws.count)]
    figures = _figures_of(runs[1] if change.differs else runs[0])
    remarks = [*_again(fit, change), *_unseen(fit, change, (then or today)[0]), *_behind(fit, figures)]
    repeated = _apart(figures, _figures_of(runs[-1])) if recorded else {}
    before = _figures_of(runs[0]) if change.differs else {}
    return RunPrediction(
        0.0, fit.asked, figures, today=before, recorded=recorded_figures(fit), changes=tuple(change.words),
        draws=draws.count, remarks=tuple(remarks), repeated=repeated,
        off=tuple(map(str.strip, goodness_of_fit(fit).lines())),
    )  # fmt: skip


def _next_of(fit: Fit, change: WhatIf, seed: int, number: int) -> Scenario:
    """Return the next run on the fit that is drawn as the `number`-th, which does not depend on the change."""
    lasts_s = fit.prepared.lasts_s
    scenario = fit.scenario(
        draw=np.random.default_rng([seed, number]), replications=1, horizon_s=lasts_s * 50 * _DRAINS,
        troubles=change.troubles,
    )  # fmt: skip
    if change.differs:
        scenario = change.applied(scenario)
    if fit.callers is not None:
        return scenario
    at_s = fit.caller_pattern.at_s - fit.caller_pattern.at_s[0]
    scaled = scaled_arrivals(at_s, change.load, np.random.default_rng([seed, number, 1]))
    if change.again:
        return scenario.changed(workload=Arrivals(at_s=scaled.tolist()), horizon_s=lasts_s * _DRAINS)
    instants = blocks_of(
        scaled, whole_of(at_s), block_of(at_s), whole_of(at_s), np.random.default_rng([seed, number, 2])
    )  # fmt: skip
    return scenario.changed(workload=Arrivals(at_s=instants), horizon_s=lasts_s * _DRAINS)


def _as_recorded(fit: Fit, change: WhatIf, draws: FitDraws) -> list[Scenario]:
    """Return the next run with outages at the recorded instants, if few outages are drawn: runs have none, or one."""
    few = any(0 < len(each.troubles.outages) < _AGAIN for each in fit.endpoints.values())
    if change.troubles != "drawn" or not few:
        return []
    change = replace(change, troubles="recorded")
    return [_next_of(fit, change, draws.seed, number) for number in range(draws.count)]


def _apart(drawn: Mapping[str, Predicted], repeated: Mapping[str, Predicted]) -> dict[str, Predicted]:
    """Return the times that differ much if outages and slow spells come as in the trace."""
    call_s = drawn["sojourn_mean_s"].value if "sojourn_mean_s" in drawn else 0.0
    least_s = {name: call_s if name.startswith("wait") else 0.0 for name in drawn}
    return {
        name: each
        for name, each in repeated.items()
        if name.endswith("_s") and name in drawn
        and abs(each.value - drawn[name].value) > FAR * max(drawn[name].value, least_s[name])
    }  # fmt: skip


def _figures_of(records: Sequence[Record]) -> dict[str, Predicted]:
    """Return the figures that more than half of the runs have."""
    found = {}
    for name in NEXT_FIGURES:
        values = [value for record in records if (value := _figure(record, name, 0.0)) is not None]
        if len(values) > len(records) // 2:
            found[name] = prediction_of(values)
    return found


def recorded_figures(fit: Fit) -> dict[str, float]:
    """Return the figures of `NEXT_FIGURES` that the trace itself has.

    A request that was tried again is several calls of a trace, so there is no sojourn then. Several runs have no
    makespan.
    """
    trace, events = fit.prepared.trace, [each.event for each in fit.prepared.trace.events]
    ended = [each for each in fit.prepared.attempts if not each.open and each.outcome != "ignored"]
    done = [each for each in ended if each.outcome == "success"]
    again, gave_up = events.count("retried") + events.count("hedged"), events.count("gave_up")
    asked = len(ended) - again + gave_up
    found = {"lost": min(1.0, max(0.0, 1 - len(done) / asked))} if asked > 0 else {}
    if done and not again:
        sojourns = np.array([each.ended_s - each.asked_s for each in done])
        found |= {"sojourn_mean_s": float(sojourns.mean())}
        found |= {f"sojourn_p{q}_s": float(np.quantile(sojourns, q / 100)) for q in (50, 99)}
    waits = np.array([each.waited_s for each in fit.prepared.attempts])
    found |= {"wait_mean_s": float(waits.mean()), "wait_p99_s": float(np.quantile(waits, 0.99))}
    if len({each.run for each in trace.attempts}) == 1 and fit.prepared.lasts_s > 0:
        found |= {"makespan_s": fit.prepared.lasts_s, "throughput_per_s": len(done) / fit.prepared.lasts_s}
    return found


def _again(fit: Fit, change: WhatIf) -> Iterator[str]:
    """Yield that a run of the pipeline is the same again."""
    if fit.batch is not None:
        at_once = min(change.callers or fit.callers or 1, fit.batch["samples"])
        yield (
            f"a run of the pipeline: the same {fit.batch['samples']} problems again, {at_once} at once, each through "
            "its stages"
        )


def _unseen(fit: Fit, change: WhatIf, scenario: Scenario) -> Iterator[str]:
    """Yield that endpoints may get more calls at once than they ever had, if the change is the reason."""
    names = {member.url: member.name for member in fit.members}
    unseen = [
        f"{names[model.url]} (at most {model.seen_at_once}, of {model.capacity} slots)"
        for model in scenario.endpoints
        if change.differs and model.url in names and NO_LIMIT > model.capacity > (model.seen_at_once or model.capacity)
    ]
    if unseen:
        yield f"never had all slots in use, so its behaviour then is assumed: {', '.join(unseen)}"


def _behind(fit: Fit, figures: Mapping[str, Predicted]) -> Iterator[str]:
    """Yield that open arrivals come faster than they are served."""
    if fit.callers is not None:
        return
    last_s = whole_of(fit.caller_pattern.at_s - fit.caller_pattern.at_s[0])
    over_s = figures["makespan_s"].value if "makespan_s" in figures else math.inf
    if over_s - last_s > max(_BEHIND * last_s, 10 * fit.typical_s):
        yield (
            f"calls come faster than they are served: arrivals take {last_s:.3g} s and the run {over_s:.3g} s; so its "
            "times grow with its length"
        )


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
    return {"kind": "arrivals", "at_s": blocks_of(at_s, whole_of(at_s), block_of(at_s), lasts_s, rng)}


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


def _outage_cases(
    fit: Fit, remaining: int, at_s: float, lasts_s: float, seed: int
) -> tuple[float, dict[str | None, Scenario]]:
    """Return the assumed length of an outage, and a run without one (None) and with one of each endpoint.

    The length is that of seen outages, or else a tenth of the rest. Callers that wait for their answers lose the same
    time in a long rest as in a part of it around the outage, so only that part is simulated.
    """
    callers, rate = fit.caller_pattern.callers, fit.asked / max(at_s, 1e-9)
    seen = [each.troubles.mttr_s for each in fit.endpoints.values() if each.troubles.mttr_s is not None]
    left_s = lasts_s if callers is None else remaining / rate
    outage_s = float(np.mean(seen)) if seen else left_s / 10
    if callers is not None:
        remaining = min(remaining, math.ceil(_AROUND * outage_s * rate) + 10 * callers)
        left_s = remaining / rate
    workload = _rest_of(fit, remaining, lasts_s, np.random.default_rng(seed))
    horizon_s = _horizon_s(fit, remaining, at_s, lasts_s)
    cases: dict[str | None, tuple[PlannedOutage, ...]] = {None: ()}
    for name, each in fit.endpoints.items():
        if not each.troubles.outages:
            cases[name] = (PlannedOutage(name, left_s / 4, left_s / 4 + outage_s),)
    return outage_s, {
        name: fit.scenario(workload=workload, outages=case, horizon_s=horizon_s) for name, case in cases.items()
    }


def _longer(cases: Sequence[str | None], records: Sequence[Record]) -> dict[str, float]:
    """Return the delay that an outage of each endpoint would cause, in seconds."""
    ends = np.array([record.makespan_s if record.makespan_s is not None else np.nan for record in records])
    means = ends.reshape(len(cases), -1).mean(axis=1) if cases else ends
    return {name: float(mean - means[0]) for name, mean in zip(cases, means, strict=True) if name is not None}
