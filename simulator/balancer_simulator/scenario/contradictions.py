"""Consistency checks of a scenario: keys that do not fit together, or events that can never happen.

Each contradiction is one line. A scenario with one is never simulated.
"""

from collections.abc import Iterator
from math import inf
from typing import Final

from balancer.values.urls import identity_of
from balancer_simulator.scenario.endpoints import (
    CrashRepair,
    EndpointModel,
    Fault,
    SlowSpells,
    TimedFault,
)
from balancer_simulator.scenario.fields import ScenarioFields, twice
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, Conversations, Kind, OnOff, Poisson

__all__ = ["problems_in"]

# Requests, bursts or crashes in a run: several minutes of computing, and more than any figure needs.
_MOST_EVENTS: Final = 100_000_000
_ROUND_S: Final = 0.001  # pause of a worker without think time after a request that is over at once


def problems_in(scenario: ScenarioFields) -> list[str]:
    """Return a line for each mistake."""
    urls = [identity_of(url) for model in scenario.endpoints for url in model.urls]
    labels = [policy.label for policy in scenario.policies]
    hosts = {model.endpoint(url).host for url, model in scenario.by_url.items()}
    found = [
        *(f"endpoints: {url!r} is listed twice; URLs must differ" for url in twice(urls)),
        *(f"policies: {label!r} is listed twice; give one a label" for label in twice(labels)),
        *(f"hosts: no endpoint is on {host!r}" for host in scenario.hosts if host not in hosts),
        *(f"host_caps: no endpoint is on {host!r}" for host in scenario.host_caps if host not in {*hosts, "*"}),
    ]
    if scenario.counts_from_s >= scenario.horizon_s:
        found.append(f"warmup_s is {scenario.counts_from_s:g} and horizon_s {scenario.horizon_s:g}; it must be less")
    if scenario.is_batch and scenario.warmup_s:
        found.append("warmup_s: a batch is counted from its first task; leave it out")
    checks = (
        _impossible, _too_late, _too_much, _unlike_production, _quotas_amiss, _never_overflows,
        _holders_amiss, _prompts_amiss, _kinds_amiss,
    )  # fmt: skip
    return [*found, *(line for check in checks for line in check(scenario))]


def _kinds_amiss(scenario: ScenarioFields) -> Iterator[str]:
    """Yield kinds that there are not, and kinds that no endpoint can serve."""
    workload, kinds = scenario.workload, scenario.requests.kinds
    last = max(workload.kinds, default=0) if isinstance(workload, Arrivals) else 0
    if last >= len(kinds):
        yield f"workload.kinds: found {last}, but requests.kinds has {len(kinds)}; the first is 0"
    stages = workload.stages if isinstance(workload, Batch) else []
    named = [(f"workload.stages[{n}].kind", stage.kind) for n, stage in enumerate(stages) if stage.kind is not None]
    named += [(f"endpoints[{n}].services", name) for n, each in enumerate(scenario.endpoints) for name in each.services]
    names = sorted({kind.name for kind in kinds})
    for place, name in named:
        if name not in names:
            yield f"{place}: requests.kinds has no {name!r}; there are {', '.join(names)}"
    offered = {label for model in scenario.endpoints for label in model.labels}
    for kind in kinds:
        if not set(kind.labels) <= offered:
            yield f"requests.kinds: {kind.name!r} asks for {kind.labels}, and the endpoints offer {sorted(offered)}"


def _unlike_production(scenario: ScenarioFields) -> Iterator[str]:
    """Yield rules that a simulation does not support."""
    if scenario.health and scenario.health.ping != "off":
        said = 'active probes are not simulated; set "off", or leave it out'
        yield f"health.ping: found {scenario.health.ping!r}; {said}"
    hedge_s, limit_s = scenario.requests.hedge_after_s, scenario.requests.call_timeout_s
    if hedge_s and limit_s and hedge_s >= limit_s:
        yield (
            f"requests.hedge_after_s: found {hedge_s:g}, but a call is given up after call_timeout_s = {limit_s:g}; "
            "it must be less"
        )
    by_url, most_leases = scenario.by_url, scenario.most_leases  # computed at each access, and there may be thousands
    for kind in scenario.requests.kinds:
        most = max((n for url, n in most_leases.items() if _has(by_url[url], kind)), default=kind.slots)
        if kind.slots > most:
            yield (
                f"requests.kinds: {kind.name!r} takes {kind.slots} slots, and no endpoint that it may use has more "
                f"than {most}"
            )
    for number, model in enumerate(scenario.endpoints):
        if model.retry_after_s and not model.refuse_beyond:
            yield f"endpoints[{number}].retry_after_s: found {model.retry_after_s:g} without refuse_beyond; give both"


def _never_overflows(scenario: ScenarioFields) -> Iterator[str]:
    """Yield that requests are lost although an endpoint is free, because its group is only for outages."""
    groups = sorted({model.group for model in scenario.endpoints})
    if len(groups) > 1 and scenario.spill_after_s is None and scenario.max_waiters == 0:
        yield (
            f"max_waiters is 0 and spill_after_s is absent: what finds group {groups[0]} full is lost, although group "
            f"{groups[1]} may be free; give spill_after_s = 0.0 to overflow at once, or 1e9 if it is only for outages"
        )


def _holders_amiss(scenario: ScenarioFields) -> Iterator[str]:
    """Yield holders that no request has, and shares that nobody has."""
    known = {"*", *(kind.holder for kind in scenario.requests.kinds)}
    yield from (
        f"holders: no kind of requests has holder = {name!r}" for name in sorted(scenario.holders.keys() - known)
    )
    if scenario.holders and not scenario.fairness:
        yield 'holders: they have no effect without fairness = "holder"; set it, or leave them out'


def _prompts_amiss(scenario: ScenarioFields) -> Iterator[str]:
    """Yield caches that have no effect, and what is not simulated with prompts."""
    if isinstance(scenario.workload, Arrivals) and scenario.workload.file:
        return  # it is read later
    for number, model in enumerate(scenario.endpoints):
        if model.cache_blocks and not model.prefill_s:
            yield f"endpoints[{number}].cache_blocks: it saves nothing without prefill_s; give both"
        if model.prefill_s and not scenario.has_prompts:
            yield f"endpoints[{number}].prefill_s: the requests have no prompts; leave it out"


def _quotas_amiss(scenario: ScenarioFields) -> Iterator[str]:
    """Yield endpoints with an unknown quota, and kinds that reserve more than any quota has."""
    named, used = scenario.quotas.keys(), {model.quota for model in scenario.endpoints}
    unknown = [(n, each.quota) for n, each in enumerate(scenario.endpoints) if each.quota not in {None, *named}]
    yield from (f"endpoints[{number}].quota: found {quota!r}, which is not in [quotas]" for number, quota in unknown)
    yield from (f"quotas: no endpoint has quota = {name!r}" for name in sorted(named - used))
    for kind in scenario.requests.kinds if named <= used and not unknown else ():
        used_by = [each.quota for each in scenario.endpoints if _has(each, kind)]
        quotas = [None if quota is None else scenario.quotas[quota] for quota in used_by]
        most = max((inf if each is None else each.tokens_per_min or inf for each in quotas), default=inf)
        if kind.tokens is not None and kind.tokens > most:
            yield (
                f"requests.kinds: {kind.name!r} reserves {kind.tokens} tokens, and no quota of an endpoint that it may "
                f"use has more than {most:g}"
            )


def _has(model: EndpointModel, kind: Kind) -> bool:
    return set(kind.labels) <= set(model.labels)


def _impossible(scenario: ScenarioFields) -> list[str]:
    """Return changes of endpoints that do not exist, and additions of those that do."""
    there = {url: model.from_s == 0 for url, model in scenario.by_url.items()}
    known = dict(there)  # also those that drain
    steps = [(model.from_s, "add", url) for url, model in scenario.by_url.items() if model.from_s]
    steps += [(change.at_s, change.do, change.url) for change in scenario.changes]
    found = []
    for at_s, do, url in sorted(steps, key=lambda step: step[0]):
        if url not in there:
            found.append(f"changes: there is no endpoint {url!r}")
        elif there[url] if do == "add" else not known[url]:
            state = "there already" if do == "add" else "not there"
            found.append(f"changes: {do!r} of {url!r} at {at_s:g} s, when it is {state}")
        else:
            there[url] = do == "add" or (there[url] and do == "update")
            known[url] = do != "remove"
    return found


def _too_late(scenario: ScenarioFields) -> list[str]:
    """Return events that never happen because the run is over, or the endpoint has not joined yet."""
    horizon_s = scenario.horizon_s
    late = [(f"changes[{number}].at_s", change.at_s) for number, change in enumerate(scenario.changes)]
    late += [(f"endpoints[{number}].from_s", model.from_s) for number, model in enumerate(scenario.endpoints)]
    end = f"the run ends at horizon_s = {horizon_s:g}"
    return [
        *(f"{place}: found {at_s:g}, and {end}; it must be less" for place, at_s in late if at_s >= horizon_s),
        *(
            f"{place}: {line}"
            for place, model, fault in _faults_of(scenario)
            if isinstance(fault, TimedFault) and (line := fault.missed(model.from_s, horizon_s))
        ),
    ]


def _too_much(scenario: ScenarioFields) -> list[str]:
    """Return a line for each key that causes more events in a run than `_MOST_EVENTS`."""
    return [
        f"{place}: makes about {number:.3g} {what} in a run, and at most {_MOST_EVENTS:,} are allowed; change it or "
        f"lower horizon_s, which is {scenario.horizon_s:g}"
        for place, what, number in _events(scenario)
        if number > _MOST_EVENTS
    ]


def _faults_of(scenario: ScenarioFields) -> Iterator[tuple[str, EndpointModel, Fault]]:
    """Yield each fault, with its place in the scenario and its endpoints."""
    for number, model in enumerate(scenario.endpoints):
        for which, fault in enumerate(model.faults):
            yield f"endpoints[{number}].faults[{which}]", model, fault


def _events(scenario: ScenarioFields) -> Iterator[tuple[str, str, float]]:
    """Yield each key that causes requests or troubles, with their number; recorded requests are counted."""
    horizon_s = scenario.horizon_s
    match scenario.workload:
        case Poisson(rate_per_s=rate):
            yield "workload.rate_per_s", "requests", rate * horizon_s
        case OnOff() as bursty:
            cycle_s = bursty.on_s + bursty.off_s
            yield "workload.on_rate_per_s", "requests", bursty.on_rate_per_s * bursty.on_s / cycle_s * horizon_s
            yield "workload.off_rate_per_s", "requests", bursty.off_rate_per_s * bursty.off_s / cycle_s * horizon_s
            yield "workload.on_s", "bursts", horizon_s / cycle_s
        case Conversations(rate_per_s=rate):
            yield "workload.conversations_per_s", "requests", rate * horizon_s
        case Closed(workers=workers, think=think, calls=calls):
            round_s = max(think.mean_s + scenario.quickest_call_s, _ROUND_S)
            yield "workload.workers", "requests", min(calls or inf, horizon_s * min(scenario.rate, workers / round_s))
        case Batch(calls=calls):
            yield "workload.samples", "requests", float(calls)
    for place, model, fault in _faults_of(scenario):
        if isinstance(fault, CrashRepair):
            yield f"{place}.mtbf_s", "crashes", len(model.urls) * horizon_s / (fault.mtbf_s + fault.mttr_s)
        if isinstance(fault, SlowSpells):
            yield f"{place}.between", "spells", len(model.urls) * horizon_s / fault.cycle_s
