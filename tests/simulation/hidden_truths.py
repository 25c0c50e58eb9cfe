"""Hidden truths: drawn scenarios are run, fitted from their traces alone, and held against what was drawn.

Each truth has three endpoints, each with one of five traits: none; works on some at a time; refuses beyond a number;
outages; slow spells. Callers wait for their answers, or come whatever happens. Every second trace is one of our own
pool; the others are like the log of a proxy: times rounded to milliseconds, in the order of ends, no capacities, no
callers, and a notice when a check each second finds a server dead, or alive again.

A parameter is found if the fit has it within 10%. Outages and spells are few in a run, and their mean in the run is not
their parameter. So they are held against that mean. A limit beyond which a server refuses counts if it has refused a
call.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from balancer_simulator import CrashRepair, EndpointModel, Exponential, Lognormal, Scenario, SlowSpells, fit_trace
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.scenario.distributions import Deterministic
from balancer_simulator.world.fleet import spell_effects
from balancer_simulator.world.streams import Purpose, Streams

from balancer.observing.traces import Happening, Trace
from tests.simulation.made_traces import made_trace

__all__ = ["findings", "hidden_truth", "steady"]

CALLS = 6000
WITHIN = 0.1
TRAITS = ("none", "some at a time", "refuses", "outages", "spells")
_STEP_S = 0.01


@dataclass(frozen=True)
class Truth:
    """A drawn scenario. `proxy`: its trace is like the log of a proxy."""

    number: int
    scenario: Scenario
    traits: dict[str, str]
    proxy: bool

    def trace(self) -> Trace:
        """Return what is told of its run."""
        made = made_trace(self.scenario)
        if not self.proxy:
            return made
        attempts = [
            replace(
                each, task=None, host=None, retry_after_s=None,
                asked_s=round(each.asked_s, 3), granted_s=round(each.granted_s, 3), ended_s=round(each.ended_s, 3),
            )
            for each in sorted(made.attempts, key=lambda each: each.ended_s)
        ]  # fmt: skip
        return Trace(attempts=attempts, events=list(self._notices(max(each.ended_s for each in attempts))))

    def _notices(self, lasts_s: float) -> Iterator[Happening]:
        """Yield what a proxy writes that looks at its servers each second."""
        for number, (url, model) in enumerate(self.scenario.by_url.items()):
            for crash in model.faults:
                if isinstance(crash, CrashRepair):
                    for from_s, to_s in _crashes(self.scenario, number, crash, lasts_s):
                        looks = math.ceil(from_s), math.ceil(to_s)
                        if looks[0] < looks[1]:
                            yield Happening("made", float(looks[0]), "ejected", url)
                            if looks[1] < lasts_s:
                                yield Happening("made", float(looks[1]), "restored", url)


def hidden_truth(number: int, series: int) -> Truth:
    """Return the truth with this number. Another `series` has other truths."""
    rng = np.random.default_rng([2026, series, number])
    proxy, closed = bool(number % 2), bool(rng.random() < 0.5)
    capacities = [int(each) for each in rng.integers(3, 9, 3)]
    means_s = [float(each) for each in np.exp(rng.uniform(math.log(0.05), math.log(0.4), 3))]
    at_once = list(capacities)
    traits = [TRAITS[place] for place in rng.permutation(len(TRAITS))[:3]]
    for place, trait in enumerate(traits):
        if trait == "some at a time":
            at_once[place] = int(rng.integers(1, capacities[place] - 1, endpoint=True))
        elif trait == "refuses":
            at_once[place] = int(rng.integers(2, capacities[place] - 1, endpoint=True))
    rate = sum(many / mean_s for many, mean_s in zip(at_once, means_s, strict=True))
    load, lasts_s = float(rng.uniform(0.6, 0.85)), CALLS / (rate * 0.8)
    endpoints = [
        _endpoint(
            rng,
            EndpointModel(url=f"http://{name}/", capacity=each, service=_service(rng, mean_s)),
            trait,
            many,
            lasts_s,
        )
        for name, trait, each, many, mean_s in zip("abc", traits, capacities, at_once, means_s, strict=True)
    ]
    if closed:
        workers = max(3, round(sum(at_once) * rng.uniform(0.8, 1.5)))
        workload = {"kind": "closed", "workers": workers, "calls": CALLS, "think": Exponential(mean_s=0.05)}
    else:
        workload = {"kind": "poisson", "rate_per_s": load * rate}
    scenario = Scenario.model_validate(
        {
            "workload": workload,
            "endpoints": endpoints,
            "horizon_s": 100 * lasts_s if closed else CALLS / (load * rate),
            "requests": {"attempts": int(rng.integers(1, 3, endpoint=True))},
            "seed": int(rng.integers(1_000_000)),
        }
    )
    return Truth(number, scenario, dict(zip(scenario.by_url, traits, strict=True)), proxy)


def _service(rng: np.random.Generator, mean_s: float) -> Lognormal:
    return Lognormal(mean_s=mean_s, cv=float(rng.uniform(0.3, 0.9)))


def _endpoint(rng: np.random.Generator, model: EndpointModel, trait: str, many: int, lasts_s: float) -> EndpointModel:
    if trait == "some at a time":
        return model.model_copy(update={"parallel": many})
    if trait == "refuses":
        return model.model_copy(update={"refuse_beyond": many, "retry_after_s": float(rng.uniform(0.1, 1.0))})
    if trait == "outages":
        mttr_s, mtbf_s = lasts_s * rng.uniform(0.02, 0.06), lasts_s * rng.uniform(0.1, 0.25)
        return model.model_copy(update={"faults": [CrashRepair(mtbf_s=mtbf_s, mttr_s=mttr_s)]})
    if trait == "spells":
        lengths = Deterministic if rng.random() < 0.5 else Exponential
        between, lasts = (lengths(mean_s=lasts_s * part) for part in (rng.uniform(0.06, 0.15), rng.uniform(0.02, 0.08)))
        spells = SlowSpells(between=between, lasts=lasts, factor=float(rng.uniform(1.5, 4.0)))
        return model.model_copy(update={"faults": [spells]})
    return model


@dataclass(frozen=True)
class Finding:
    """A parameter: its true value, its value in the run, and the fitted one; None: the fit says that it is unknown."""

    kind: str
    true: float
    real: float
    fitted: float | None

    @property
    def found(self) -> bool:
        """Whether the fitted value is within 10% of the one in the run."""
        return self.fitted is not None and abs(self.fitted - self.real) <= WITHIN * self.real


def findings(truth: Truth) -> Iterator[Finding]:
    """Yield each parameter of a truth, with what the fit of its trace has."""
    trace = truth.trace()
    fit = fit_trace(trace)
    fitted = fit.scenario()
    lasts_s = max(each.ended_s for each in trace.attempts) - min(each.asked_s for each in trace.attempts)
    workers = getattr(truth.scenario.workload, "workers", None)
    if workers:
        yield Finding("callers", workers, workers, getattr(fitted.workload, "workers", None))
    url_of = {member.name: member.url for member in fit.members}
    told = {member.name for member in fit.members if member.source in ("told", "waits")}
    for number, (url, model) in enumerate(truth.scenario.by_url.items()):
        found = fitted.by_url[url_of[url]]
        if truth.proxy:
            known = found.capacity if url in told else None
            yield Finding("capacity", model.capacity, model.capacity, known)
        assert model.service
        assert found.service
        yield Finding("mean time", model.service.mean_s, model.service.mean_s, found.service.mean_s)
        at_once = model.parallel or 0
        if at_once:
            yield Finding("at a time", at_once, at_once, found.parallel or 0)
        if model.refuse_beyond and any((each.endpoint, each.outcome) == (url, "overload") for each in trace.attempts):
            yield Finding("refuses beyond", model.refuse_beyond, model.refuse_beyond, found.refuse_beyond or 0)
            if not truth.proxy and model.retry_after_s:
                yield Finding("rest", model.retry_after_s, model.retry_after_s, found.retry_after_s or 0.0)
        yield from _changing(truth, number, model, found, fit, lasts_s)


def _changing(
    truth: Truth, number: int, model: EndpointModel, found: EndpointModel, fit: Fit, lasts_s: float
) -> Iterator[Finding]:
    streams = Streams(truth.scenario.seed, 0)
    name = list(truth.scenario.by_url)[number]
    for fault in model.faults:
        if isinstance(fault, CrashRepair):
            outages = _crashes(truth.scenario, number, fault, lasts_s)
            down_s = float(np.mean([to_s - from_s for from_s, to_s in outages] or [0.0]))
            in_all_s = sum(min(to_s, lasts_s) - from_s for from_s, to_s in outages)
            up_s = (lasts_s - in_all_s) / max(1, len(outages))
            crash = next((each for each in found.faults if isinstance(each, CrashRepair)), None)
            yield Finding("outage: length", fault.mttr_s, down_s, crash.mttr_s if crash else 0.0)
            yield Finding("outage: between", fault.mtbf_s, up_s, crash.mtbf_s if crash else 0.0)
        elif isinstance(fault, SlowSpells):
            between_s, length_s = _spells(streams, number, model, lasts_s)
            slow = next((each for each in found.faults if isinstance(each, SlowSpells)), None)
            unknown = None if fit.endpoints[name].drift else 0.0
            yield Finding("spells: factor", fault.factor, fault.factor, slow.factor if slow else unknown)
            yield Finding("spells: length", fault.lasts.mean_s, length_s, slow.lasts.mean_s if slow else unknown)
            yield Finding("spells: between", fault.between.mean_s, between_s, slow.between.mean_s if slow else unknown)


def _crashes(scenario: Scenario, number: int, crash: CrashRepair, lasts_s: float) -> list[tuple[float, float]]:
    """Return when the endpoint was down in the run, as its random numbers say."""
    rng = Streams(scenario.seed, 0).choices(Purpose.FAULTS, number, 1)
    now, found = rng.expovariate(1 / crash.mtbf_s), list[tuple[float, float]]()
    while now < lasts_s:
        repaired_s = now + rng.expovariate(1 / crash.mttr_s)
        found.append((now, repaired_s))
        now = repaired_s + rng.expovariate(1 / crash.mtbf_s)
    return found


def _spells(streams: Streams, number: int, model: EndpointModel, lasts_s: float) -> tuple[float, float]:
    """Return the mean seconds between spells and of spells that the run had from begin to end."""
    (effect,) = spell_effects(model, number, streams)
    slow = np.array([effect.factor(now) > 1 for now in np.arange(0.0, lasts_s, _STEP_S)])
    edges = np.flatnonzero(np.diff(slow.astype(np.int8)))
    lengths, states = np.diff(edges) * _STEP_S, slow[edges[:-1] + 1]
    return float(np.mean(lengths[~states])), float(np.mean(lengths[states]))


def steady(count: int, series: int) -> float:
    """Return the share of truths without spells whose fit says that an endpoint changes in time."""
    alarms = 0
    for number in range(count):
        truth = hidden_truth(number, series)
        endpoints = [
            model.model_copy(update={"faults": [each for each in model.faults if not isinstance(each, SlowSpells)]})
            for model in truth.scenario.endpoints
        ]
        calm = replace(truth, scenario=truth.scenario.changed(endpoints=endpoints))
        fit = fit_trace(calm.trace())
        wrong = {name: each for name, each in fit.endpoints.items() if each.drift or each.spells}
        alarms += bool(wrong)
        for name, each in wrong.items():
            print(f"  {number}: {name} ({truth.traits[name]}): {each.drift}, {each.spells and each.spells.kinds}")
    return alarms / count
