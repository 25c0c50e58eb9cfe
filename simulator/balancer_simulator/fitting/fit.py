"""Fit of a scenario to a trace: endpoints, kinds, callers and faults, with what is unknown.

A fit can be drawn again, from its calls resampled in blocks: such scenarios vary as much as the truth is uncertain.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypedDict, Unpack

import numpy as np

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer_simulator.fitting.callers import CallerPattern, caller_pattern_of
from balancer_simulator.fitting.calls import FEWEST, PreparedTrace, calls_of, prepare_trace
from balancer_simulator.fitting.drift import Spells
from balancer_simulator.fitting.endpoint import EndpointFit, fit_endpoint, host_cores
from balancer_simulator.fitting.faults import rate_of
from balancer_simulator.fitting.members import Member, members_of
from balancer_simulator.fitting.refusals import ObservedRefusals
from balancer_simulator.fitting.stages import as_batch, by_stage, problems_at_once, stages_of
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.fitting.times import FittedTimes, SizeRegression, fit_sizes, times_of
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario, validated_scenario

__all__ = ["Fit", "PlannedOutage", "ScenarioOptions", "Troubles", "fit_run", "fit_trace"]

_VALUES: Final = 200  # times that represent all calls of a kind at an endpoint
_CALLS_AHEAD: Final = 20.0  # least horizon of workloads with an end, in lengths of the trace
_SHORT: Final = 1e-3  # share of a call: a shorter pause counts as none
_AGAIN: Final = 3  # outages of an endpoint from which on they recur
_DEFAULT: Final = "least_in_flight"  # for a trace without a strategy
_MOSTLY: Final = 0.9  # share of the calls in turn from which on the endpoints take turns
_ATTEMPTS: Final = 3  # the default of `Pool.call`

Troubles = Literal["drawn", "recorded", "none"]
"""Outages and slow spells of a run: drawn; at the recorded instants; or no outages, and drawn spells."""


@dataclass(frozen=True, slots=True)
class PlannedOutage:
    """An endpoint is down from one instant to another."""

    endpoint: str
    from_s: float
    to_s: float


class ScenarioOptions(TypedDict, total=False):
    """Differences of a scenario from the trace that was fitted.

    Attributes:
        workload: instead of the callers of the trace.
        draw: of a fit to the calls resampled in blocks.
        horizon_s: seconds to simulate.
        outages: further outages.
        troubles: how outages and slow spells come; drawn by default.
        ongoing: continue at the end of the trace. An outage that was not over continues. Endpoints with one or two
            outages have no other, because their rate is unknown; with more, outages recur at the same rate.
        strategy: instead of that of the trace.
        replications, name: of the scenario; 20 and "fitted" by default.
    """

    workload: Mapping[str, Any]
    draw: np.random.Generator
    horizon_s: float
    outages: Sequence[PlannedOutage]
    troubles: Troubles
    ongoing: bool
    strategy: str
    replications: int
    name: str


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted trace.

    Attributes:
        prepared: the trace.
        members: the endpoints, as a pool knows them.
        endpoints: the fit of each.
        cores: by host, the cores that its endpoints share, if they do.
        caller_pattern: the callers.
        times: durations of calls.
        sizes: how durations depend on announced sizes; None if they do not, or there are no sizes.
        batch: the workload of a pipeline: its problems and their stages; None: `caller_pattern` counts.
        takes_turns: nearly every call went to the endpoint whose turn it was.
    """

    prepared: PreparedTrace
    members: tuple[Member, ...]
    endpoints: dict[str, EndpointFit]
    cores: dict[str, int]
    caller_pattern: CallerPattern
    times: FittedTimes
    sizes: SizeRegression | None
    batch: Mapping[str, Any] | None = None
    takes_turns: bool = False

    def scenario(self, **options: Unpack[ScenarioOptions]) -> Scenario:
        """Return the fit as a scenario. Raises ConfigError if the trace has values that no scenario may have."""
        return validated_scenario(self.data(**options), "the fitted scenario")

    def data(self, **options: Unpack[ScenarioOptions]) -> dict[str, Any]:
        """Return the fit as the keys and values of a scenario."""
        draw, strategy = options.get("draw"), options.get("strategy", self.strategy)
        samples = {each: found.resampled(draw) if draw else found.sample for each, found in self.endpoints.items()}
        kinds = range(len(self.prepared.kinds))
        times = times_of(samples, kinds, _VALUES) if draw else self.times
        sizes = fit_sizes(samples, kinds, _VALUES, surely=True) if draw and self.sizes else self.sizes
        down = {each.endpoint: each for each in options.get("outages", ())}
        requests: dict[str, Any] = {"attempts": self.attempts, "kinds": self._kinds(sizes)}
        if self.prepared.timeout_s is not None:
            requests["call_timeout_s"] = self.prepared.timeout_s
        asked = dict(options["workload"]) if "workload" in options else self.workload(draw)
        endpoints, cores = [], dict(self.cores)
        for member in self.members:
            sample, mine = samples[member.name], times.of[member.name]
            data = member.data
            data["seen_at_once"] = max(1, min(self.endpoints[member.name].most, member.most))
            if sample.behaviour.name == "lines" and sample.behaviour.count < member.capacity:
                data["parallel"] = sample.behaviour.count
            elif sample.behaviour.name == "cores":  # a host of its own, because the others there do not share the cores
                data["host"] = member.alone
                cores[member.alone] = sample.behaviour.count
            data |= self._refusals(member)
            values = {kind: {"kind": "empirical", "values_s": _rounded(each.tolist())} for kind, each in mine.items()}
            if sizes is not None:  # the work belongs to the request: it is large at every endpoint
                data["speed"] = float(f"{sizes.speeds[member.name]:.6g}")
            elif len(values) == 1:
                data["service"] = values[0]
            else:
                data["services"] = {self.prepared.kinds[kind]: each for kind, each in values.items()}
            if sample.away_s.any():
                away_s = quantile_means(sample.away_s, np.zeros(len(sample.away_s), dtype=np.bool_), _VALUES)
                data["network"] = {"kind": "empirical", "values_s": _rounded(away_s.tolist())}
            if faults := self._faults(member.name, draw, down.get(member.name), options):
                data["faults"] = faults
            endpoints.append(data)
        return {
            "name": options.get("name", "fitted"),
            "horizon_s": options.get("horizon_s") or self._horizon_s(asked),
            "replications": options.get("replications", 20),
            **({"policies": [strategy]} if strategy else {}),
            "workload": asked,
            "requests": requests,
            "hosts": {host: {"cores": count} for host, count in cores.items()},
            "endpoints": endpoints,
        }

    def workload(self, draw: np.random.Generator | None = None, *, calls: int | None = None) -> dict[str, Any]:
        """Return the workload. `calls`: their number in all, if callers wait for their answers."""
        if self.batch is not None:
            return dict(self.batch)
        caller_pattern = self.caller_pattern
        if caller_pattern.callers is None:
            return {"kind": "arrivals", "at_s": _rounded(caller_pattern.at_s.tolist())}
        found: dict[str, Any] = {"kind": "closed", "workers": caller_pattern.callers, "calls": calls or self.asked}
        pauses_s = caller_pattern.pauses_s(_VALUES, draw)
        if len(pauses_s) and pauses_s.mean() > _SHORT * self.typical_s:
            found["think"] = {"kind": "empirical", "values_s": _rounded(pauses_s.tolist())}
        return found

    def equivalent_callers(self, at_once: int) -> tuple[int, float]:
        """Return how many callers each of `at_once` problems has, and the seconds that each pauses between two calls.

        For names that have several calls at once, as the problems of a pipeline have. By Little's law, the mean number
        of calls under way stays the same.
        """
        lasts_s = max(self.prepared.lasts_s, 1e-9)
        under_way = sum(each.ended_s - each.asked_s for each in self.prepared.attempts) / lasts_s
        callers = max(1, math.ceil(under_way / at_once))
        pause_s = max(0.0, callers * at_once - under_way) * lasts_s / self.asked
        return callers, pause_s if pause_s > _SHORT * self.typical_s else 0.0

    @property
    def callers(self) -> int | None:
        """Number of callers who wait for their answers, or of problems at once; None: arrivals are open."""
        return self.caller_pattern.callers if self.batch is None else self.batch["samples_at_once"]

    @property
    def asked(self) -> int:
        """Number of requests; retries of one request count once."""
        again = sum(each.event == "retried" for each in self.prepared.trace.events)
        return max(1, len(self.prepared.attempts) - again)

    @property
    def few(self) -> bool:
        """Whether too few calls have ended for predictions and for a behaviour."""
        return self.prepared.ended < FEWEST

    @property
    def attempts(self) -> int:
        """Attempts of a request. Without names, open arrivals as recorded have the retries among them."""
        if self.caller_pattern.callers is None:
            return self.caller_pattern.attempts
        return _ATTEMPTS if any(each.event in ("retried", "hedged") for each in self.prepared.trace.events) else 1

    @property
    def typical_s(self) -> float:
        """Mean seconds of a call, over endpoints and kinds, each counted once."""
        return float(np.mean([times.mean() for mine in self.times.of.values() for times in mine.values()]))

    @property
    def strategy(self) -> str | None:
        """The strategy at the end of the trace; None if the trace does not say."""
        changed = [each.name for each in self.prepared.trace.events if each.event == "strategy" and each.name]
        told = [str(run["strategy"]) for run in self.prepared.trace.runs if run.get("strategy")]
        return (changed or told)[-1] if changed or told else None

    @property
    def policy(self) -> Policy:
        """The policy of a simulation of the fit: the strategy of the trace; if unknown, what its order looks like."""
        return Policy(strategy=self.strategy or ("round_robin" if self.takes_turns else _DEFAULT))

    def _kinds(self, sizes: SizeRegression | None) -> list[dict[str, Any]]:
        offered = {label for member in self.members for label in member.labels}
        found = []
        for place, kind in enumerate(self.prepared.kinds):
            mine = [each for each in self.prepared.attempts if (each.kind or "all") == kind]
            labels = [label for label in kind.split("+") if label in offered]
            data: dict[str, Any] = {"name": kind, "share": float(len(mine))}
            if labels:
                data["labels"] = labels
            if sizes is not None:
                data["work"] = {"kind": "empirical", "values_s": _rounded(sizes.works[place].tolist())}
            slots = int(np.median([each.slots for each in mine]))
            if slots > 1:
                data["slots"] = slots
            waits = [each.value for each in self.prepared.trace.events if each.event == "gave_up" and each.value]
            if waits:
                data["acquire_timeout_s"] = float(np.median(waits))
            found.append(data)
        return found

    def _refusals(self, member: Member) -> dict[str, Any]:
        refusals = self.endpoints[member.name].refusals
        if refusals.beyond is None or refusals.beyond >= member.capacity:
            return {}
        found: dict[str, Any] = {"refuse_beyond": refusals.beyond, "refuse_s": float(f"{refusals.refuse_s:.6g}")}
        return found | ({"retry_after_s": refusals.retry_after_s} if refusals.retry_after_s else {})

    def _faults(
        self, name: str, draw: np.random.Generator | None, outage: PlannedOutage | None, options: ScenarioOptions
    ) -> list[dict[str, Any]]:
        troubles, ongoing = self.endpoints[name].troubles, options.get("ongoing", False)
        found: list[dict[str, Any]] = []
        if options.get("troubles") == "recorded":
            return [*self._recorded(name), *self._single(name, outage)]
        mttr_s = troubles.mttr_s
        if ongoing and mttr_s is not None and not troubles.outages[-1].over:
            ago_s = self.prepared.lasts_s - troubles.outages[-1].to_s  # since the last failure; the outage may be over
            lasts_s = (float(draw.exponential(mttr_s)) if draw else mttr_s) - ago_s
            if lasts_s > 0:
                found.append({"kind": "fail_within", "to_s": max(lasts_s, 1e-3), "after_s": troubles.quick_s})
        if (
            options.get("troubles") != "none"
            and mttr_s is not None
            and (not ongoing or len(troubles.outages) >= _AGAIN)
        ):
            rate = rate_of(len(troubles.outages), troubles.watched_s, draw)
            crash = {
                "mtbf_s": max(1 / max(rate, 1e-9), 1e-3),
                "mttr_s": max(mttr_s, 1e-3),
                "refuse_s": troubles.quick_s,
            }
            found.append({"kind": "crash_repair", **crash})
        if spells := self.endpoints[name].spells:
            found.append(_spells(spells, draw))
        return [*found, *self._single(name, outage)]

    def _recorded(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the outages and slow spells at the instants of the trace."""
        troubles, spells = self.endpoints[name].troubles, self.endpoints[name].spells
        for each in troubles.outages:
            if each.to_s > each.from_s:
                yield {"kind": "fail_within", "from_s": each.from_s, "to_s": each.to_s, "after_s": troubles.quick_s}
        for from_s, to_s, factor in spells.seen_s if spells else ():
            yield {"kind": "slow_within", "from_s": from_s, "to_s": to_s, "factor": factor}

    def _single(self, name: str, outage: PlannedOutage | None) -> list[dict[str, Any]]:
        """Return the failures of single calls, and a planned outage."""
        troubles = self.endpoints[name].troubles
        found: list[dict[str, Any]] = []
        if troubles.quick_part:
            found.append({"kind": "fail_within", "probability": troubles.quick_part, "after_s": troubles.quick_s})
        if troubles.slow_part:
            found.append({"kind": "fail_within", "probability": troubles.slow_part})
        if outage is not None:
            found.append(
                {"kind": "fail_within", "from_s": outage.from_s, "to_s": outage.to_s, "after_s": troubles.quick_s}
            )
        return found

    def _horizon_s(self, workload: Mapping[str, Any]) -> float:
        if workload["kind"] == "arrivals":
            return float(max(self.prepared.lasts_s, workload["at_s"][-1] * 1.05 + 1e-3))
        calls = float(workload.get("calls") or workload.get("tasks") or 1)
        return max(_CALLS_AHEAD * self.prepared.lasts_s * max(1.0, calls / len(self.prepared.attempts)), 1.0)


def fit_trace(trace: Trace) -> Fit:
    """Fit a scenario to `trace`.

    Raises:
        ConfigError: it has no calls, or no call has ended.
    """
    try:
        prepared = prepare_trace(trace)
        members = members_of(prepared)
        found = {
            member.name: fit_endpoint(
                prepared.by_endpoint.get(member.name) or calls_of(member.name, [], prepared.kinds, None),
                few=prepared.ended < FEWEST,
                tests=len(members),
                notices=prepared.notices.get(member.name, ()),
                moment_s=prepared.moment_s,
            )
            for member in members
        }
        members = tuple(_beyond_refusals(member, found[member.name].refusals) for member in members)
        cores, found = host_cores(members, found) if prepared.ended >= FEWEST else ({}, found)
        samples = {name: each.sample for name, each in found.items()}
        times = times_of(samples, range(len(prepared.kinds)), _VALUES)
        sizes = fit_sizes(samples, range(len(prepared.kinds)), _VALUES)
    except ValueError as error:
        raise ConfigError(f"the trace cannot be fitted: {error}") from None
    return Fit(
        prepared,
        members,
        found,
        cores,
        caller_pattern_of(prepared.attempts),
        times,
        sizes,
        takes_turns=_takes_turns(prepared),
    )


def _takes_turns(prepared: PreparedTrace) -> bool:
    """Return whether the calls of each kind go around: the last one before at an endpoint is as many ago as it has."""
    in_turn = seen = 0
    for kind in prepared.kinds:
        mine = sorted(
            (each for each in prepared.attempts if (each.kind or "all") == kind), key=lambda each: each.granted_s
        )
        names = [each.endpoint for each in mine]
        many = len(set(names))
        if many > 1:
            rounds = [set(names[at : at + many]) for at in range(len(names) - many + 1)]
            seen += len(rounds)
            in_turn += sum(len(each) == many for each in rounds)
    return seen >= FEWEST and in_turn >= _MOSTLY * seen


def fit_run(trace: Trace) -> Fit:
    """As `fit_trace`, but the trace of a pipeline becomes a batch: its problems go through their stages again.

    Each stage has its own times, threads, pauses, and delay before its first call, as when a generator is slow.
    """
    staged = by_stage(trace)
    fit = fit_trace(trace if staged is None else staged)
    at_once = problems_at_once(fit.prepared.attempts) if staged else 0
    if not at_once:
        return fit if staged is None else fit_trace(trace)
    return replace(fit, batch=as_batch(stages_of(fit.prepared.attempts, at_once), at_once))


def _beyond_refusals(member: Member, refusals: ObservedRefusals) -> Member:
    """Return the member with a capacity that is found beyond what the endpoint accepts, as calls were refused."""
    if refusals.beyond is None or member.source not in ("waits", "others") or member.capacity > refusals.beyond:
        return member
    return replace(member, capacity=max(member.seen, refusals.beyond + 1))


def _spells(spells: Spells, draw: np.random.Generator | None) -> dict[str, Any]:
    """Return slow spells as a fault. With `draw`, the mean of lengths that vary is one of the likely ones."""

    def lengths(mean_s: float, whole: int, *, fixed: bool) -> dict[str, Any]:
        many = max(1, whole)
        drawn_s = mean_s if fixed or draw is None else mean_s * many / float(draw.gamma(many))
        return {"kind": "deterministic" if fixed else "exponential", "mean_s": max(float(f"{drawn_s:.6g}"), LEAST_S)}

    between = lengths(spells.between_s, spells.whole, fixed=spells.fixed)
    kinds = [
        {"factor": float(f"{each.factor:.6g}"), "lasts": lengths(each.lasts_s, each.whole, fixed=each.fixed)}
        for each in spells.kinds
    ]
    worse = {"worse": {"share": float(f"{spells.share:.6g}"), **kinds[1]}} if len(kinds) > 1 else {}
    return {"kind": "slow_spells", "between": between, **kinds[0], **worse}


def _rounded(values: Sequence[float]) -> list[float]:
    """Return values with six digits, for a file."""
    return [float(f"{value:.6g}") for value in values]
