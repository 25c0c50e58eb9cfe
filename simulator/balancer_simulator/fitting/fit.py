"""Fit of a scenario to a trace: endpoints, kinds, callers and faults.

A fit can be drawn again, from its calls resampled in blocks: such scenarios vary as much as the truth is uncertain.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer_simulator.fitting.callers import CallerPattern, caller_pattern_of
from balancer_simulator.fitting.calls import FEWEST, PreparedTrace, prepare_trace
from balancer_simulator.fitting.drift import Spells
from balancer_simulator.fitting.endpoint import EndpointFit, WorkSample, fit_endpoint, host_cores
from balancer_simulator.fitting.faults import rate_of
from balancer_simulator.fitting.members import Member, members_of
from balancer_simulator.fitting.refusals import ObservedRefusals
from balancer_simulator.fitting.stages import as_batch, by_stage, problems_at_once
from balancer_simulator.fitting.survival import empirical
from balancer_simulator.fitting.times import times_of
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario, validated_scenario

__all__ = ["Fit", "fit_run", "fit_trace"]

_VALUES: Final = 200  # times that represent all calls of a kind at an endpoint
_CALLS_AHEAD: Final = 20.0  # least horizon of workloads with an end, in lengths of the trace
_SHORT: Final = 1e-3  # share of a call: a shorter pause counts as none
_DEFAULT: Final = "least_in_flight"  # for a trace without a strategy
_MOSTLY: Final = 0.75  # share of the calls in turn from which on the endpoints take turns
_ATTEMPTS: Final = 3  # the default of `Pool.call`


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted trace.

    Attributes:
        prepared: the trace.
        members: the endpoints, as a pool knows them.
        endpoints: the fit of each.
        cores: by host, the cores that its endpoints share, if they do.
        caller_pattern: the callers.
        times: by endpoint and index of the kind, equally likely durations of calls in ascending order.
        takes_turns: nearly every call went to the endpoint whose turn it was.
        batch: the workload of a pipeline: its problems and their stages; None: `caller_pattern` counts.
    """

    prepared: PreparedTrace
    members: tuple[Member, ...]
    endpoints: dict[str, EndpointFit]
    cores: dict[str, int]
    caller_pattern: CallerPattern
    times: dict[str, dict[int, Floats]]
    takes_turns: bool
    batch: Mapping[str, Any] | None = None

    def scenario(self, **options: Any) -> Scenario:
        """Return the fit as a scenario; `options` as of `data`.

        Raises:
            ConfigError: the trace has values that no scenario may have.
        """
        return validated_scenario(self.data(**options), "the fitted scenario")

    def data(
        self,
        *,
        name: str = "fitted",
        replications: int = 20,
        workload: Mapping[str, Any] | None = None,
        horizon_s: float | None = None,
        draw: np.random.Generator | None = None,
        again: bool = False,
    ) -> dict[str, Any]:
        """Return the fit as the keys and values of a scenario.

        Args:
            name, replications: of the scenario.
            workload: instead of the callers of the trace.
            horizon_s: seconds to simulate.
            draw: of a fit to the calls resampled in blocks.
            again: outages and slow spells come at the recorded instants.
        """
        samples = {each: found.resampled(draw) if draw else found.sample for each, found in self.endpoints.items()}
        times = times_of(samples, range(len(self.prepared.kinds)), _VALUES) if draw else self.times
        requests = {
            "attempts": self.attempts, "kinds": [*self._kinds()], "call_timeout_s": self.prepared.timeout_s,
        }  # fmt: skip
        asked = dict(workload or self.workload(draw))
        endpoints, cores = [], dict(self.cores)
        for member in self.members:
            found, sample = self.endpoints[member.name], samples[member.name]
            faults = _recorded(found) if again else _drawn(found, draw)
            endpoints.append(
                self._endpoint(member, sample, times[member.name])
                | _refusals(member, found.refusals)
                | {"faults": [*faults, *_single(found)]}
            )
            if sample.behaviour.name == "cores":  # a host of its own, because the others there do not share the cores
                cores[member.alone] = sample.behaviour.count
        return {
            "name": name,
            "horizon_s": horizon_s or self._horizon_s(asked),
            "replications": replications,
            "policies": [self.strategy] if self.strategy else [],
            "workload": asked,
            "requests": requests,
            "hosts": {host: {"cores": count} for host, count in cores.items()},
            "endpoints": endpoints,
        }

    def workload(self, draw: np.random.Generator | None = None, *, calls: int | None = None) -> dict[str, Any]:
        """Return the workload. `calls`: their number in all, if callers wait for their answers."""
        if self.batch is not None:
            return dict(self.batch)
        pattern = self.caller_pattern
        if pattern.callers is None:
            return {"kind": "arrivals", "at_s": empirical(pattern.at_s)["values_s"]}
        found: dict[str, Any] = {"kind": "closed", "workers": pattern.callers, "calls": calls or self.asked}
        pauses_s = pattern.pauses_s(_VALUES, draw)
        if len(pauses_s) and pauses_s.mean() > _SHORT * self.typical_s:
            found["think"] = empirical(pauses_s)
        return found

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
        return float(np.mean([times.mean() for mine in self.times.values() for times in mine.values()]))

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

    def _kinds(self) -> Iterator[dict[str, Any]]:
        offered = {label for member in self.members for label in member.labels}
        waits = [each.value for each in self.prepared.trace.events if each.event == "gave_up" and each.value]
        for kind in self.prepared.kinds:
            mine = [each for each in self.prepared.attempts if (each.kind or "all") == kind]
            yield {
                "name": kind, "share": float(len(mine)), "slots": int(np.median([each.slots for each in mine])),
                "labels": [label for label in kind.split("+") if label in offered],
                "acquire_timeout_s": float(np.median(waits)) if waits else None,
            }  # fmt: skip

    def _endpoint(self, member: Member, sample: WorkSample, times: Mapping[int, Floats]) -> dict[str, Any]:
        """Return an endpoint with the behaviour and the times of a sample."""
        data = member.data
        data["seen_at_once"] = max(1, min(self.endpoints[member.name].most, member.most))
        if sample.behaviour.name == "lines" and sample.behaviour.count < member.capacity:
            data["parallel"] = sample.behaviour.count
        elif sample.behaviour.name == "cores":
            data["host"] = member.alone
        values = {self.prepared.kinds[kind]: empirical(each) for kind, each in times.items()}
        data |= {"services": values} if len(values) > 1 else {"service": next(iter(values.values()))}
        return data

    def _horizon_s(self, workload: Mapping[str, Any]) -> float:
        if workload["kind"] == "arrivals":
            return float(max(self.prepared.lasts_s, workload["at_s"][-1] * 1.05 + 1e-3))
        calls = float(workload.get("calls") or workload.get("tasks") or 1)
        return max(_CALLS_AHEAD * self.prepared.lasts_s * max(1.0, calls / len(self.prepared.attempts)), 1.0)


def _refusals(member: Member, refusals: ObservedRefusals) -> dict[str, Any]:
    if refusals.beyond is None or refusals.beyond >= member.capacity:
        return {}
    found: dict[str, Any] = {"refuse_beyond": refusals.beyond, "refuse_s": float(f"{refusals.refuse_s:.6g}")}
    return found | ({"retry_after_s": refusals.retry_after_s} if refusals.retry_after_s else {})


def _drawn(found: EndpointFit, draw: np.random.Generator | None) -> list[dict[str, Any]]:
    """Return the outages and slow spells as chance brings them."""
    troubles, faults = found.troubles, list[dict[str, Any]]()
    if troubles.mttr_s is not None:
        up_s = 1 / max(rate_of(len(troubles.outages), troubles.watched_s, draw), 1e-9)
        times_s = {"mtbf_s": max(up_s, 1e-3), "mttr_s": max(troubles.mttr_s, 1e-3), "refuse_s": troubles.quick_s}
        faults.append({"kind": "crash_repair", **times_s})
    return [*faults, *([_spells(found.spells, draw)] if found.spells else [])]


def _recorded(found: EndpointFit) -> list[dict[str, Any]]:
    """Return the outages and slow spells at the instants of the trace."""
    down = {"kind": "fail_within", "after_s": found.troubles.quick_s}
    outages = [
        {**down, "from_s": each.from_s, "to_s": each.to_s} for each in found.troubles.outages if each.to_s > each.from_s
    ]
    spells, seen_s = found.spells, found.spells.seen_s if found.spells else ()
    slow = [{"kind": "slow_within", "from_s": a, "to_s": b, "factor": spells.factor} for a, b in seen_s if spells]
    return [*outages, *slow]


def _single(found: EndpointFit) -> list[dict[str, Any]]:
    """Return the failures of single calls."""
    troubles = found.troubles
    quick = {"kind": "fail_within", "probability": troubles.quick_part, "after_s": troubles.quick_s}
    slow = {"kind": "fail_within", "probability": troubles.slow_part}
    return [each for each in (quick, slow) if each["probability"]]


def _spells(spells: Spells, draw: np.random.Generator | None) -> dict[str, Any]:
    """Return slow spells as a fault, of the lengths that were seen; with `draw`, resampled."""
    lasts_s, between_s = (
        each if draw is None else draw.choice(each, len(each)) for each in (spells.lasts_s, spells.between_s)
    )
    return {
        "kind": "slow_spells", "factor": float(f"{spells.factor:.6g}"), "between": empirical(between_s),
        "lasts": empirical(lasts_s),
    }  # fmt: skip


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
                prepared.calls_of(member.name),
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
    except ValueError as error:
        raise ConfigError(f"the trace cannot be fitted: {error}") from None
    pattern = caller_pattern_of(prepared.attempts)
    return Fit(prepared, members, found, cores, pattern, times, _takes_turns(prepared, members, found))


def _takes_turns(prepared: PreparedTrace, members: Sequence[Member], found: Mapping[str, EndpointFit]) -> bool:
    """Return whether calls of each kind mostly go to the endpoint whose last call is longest ago, of those with room.

    Of three endpoints round robin does so in 93 to 100% of the calls, other strategies in at most 53%.
    """
    most = {member.name: member.most for member in members}
    down = {name: each.troubles.outages for name, each in found.items()}
    turns = list[bool]()
    for kind in prepared.kinds:
        mine = [each for each in prepared.attempts if (each.kind or "all") == kind]
        last, ends_s = dict.fromkeys((each.endpoint for each in mine), -1), defaultdict[str, list[float]](list)
        for number, each in enumerate(sorted(mine, key=lambda each: each.granted_s)):
            now = each.granted_s
            ends_s = defaultdict(list, {name: [end for end in ends if end > now] for name, ends in ends_s.items()})
            free = [
                name
                for name in last
                if len(ends_s[name]) < most.get(name, 1)
                and not any(o.from_s <= now <= o.to_s for o in down.get(name, ()))
            ]
            if len(free) > 1 and each.endpoint in free:
                turns.append(each.endpoint == min(free, key=last.__getitem__))
            last[each.endpoint] = number
            ends_s[each.endpoint].append(each.ended_s)
    return len(turns) >= FEWEST and sum(turns) >= _MOSTLY * len(turns)


def fit_run(trace: Trace) -> Fit:
    """As `fit_trace`, but the trace of a pipeline becomes a batch: its problems go through their stages again.

    Each stage has its own times, threads, pauses, and delay before its first call, as when a generator is slow.
    """
    staged = by_stage(trace)
    fit = fit_trace(trace if staged is None else staged)
    at_once = problems_at_once(fit.prepared.attempts) if staged else 0
    if not at_once:
        return fit if staged is None else fit_trace(trace)
    return replace(fit, batch=as_batch(fit.prepared.attempts, at_once))


def _beyond_refusals(member: Member, refusals: ObservedRefusals) -> Member:
    """Return the member with a capacity that is found beyond what the endpoint accepts, as calls were refused."""
    if refusals.beyond is None or member.source not in ("waits", "others") or member.capacity > refusals.beyond:
        return member
    return replace(member, capacity=max(member.seen, refusals.beyond + 1))
