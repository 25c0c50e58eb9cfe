"""Description of a fit: what was fitted, from how many calls, and what is unknown."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from balancer_simulator.fitting.callers import have_several_at_once, load_shape
from balancer_simulator.fitting.calls import FEWEST
from balancer_simulator.fitting.drift import Spells
from balancer_simulator.fitting.endpoint import NO_NETWORK, EndpointFit
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.members import NO_LIMIT, Member
from balancer_simulator.fitting.stages import FEWEST as FEWEST_PROBLEMS
from balancer_simulator.fitting.survival import beyond

__all__ = ["as_toml", "changes", "fit_data", "fit_lines", "runs_line", "unknown"]

_TOO_FEW: Final = "its behaviour with several calls at once is unknown: assumed to work on each as if it were alone"
_LATE_S: Final = 0.1  # a stage that begins later than that is said to be late
_NAMED: Final = 3  # equally likely behaviours that are named
_THREE: Final = 3.0  # if none was seen in some time, the rate is below 3 / time with 95% (the rule of three)


def fit_lines(fit: Fit) -> Iterator[str]:
    """Yield the fit as lines, one for each part, then what is unknown."""
    if fit.few:
        yield f"too few calls: {fit.prepared.ended} have ended; a prediction needs at least {FEWEST}"
    if line := runs_line(fit):
        yield f"{line}; all calls are used together"
    strategy = fit.strategy or "an unknown strategy"
    yield f"{len(fit.prepared.attempts)} calls in {fit.prepared.lasts_s:.3g} s, under {strategy}"
    yield _who(fit)
    if fit.prepared.timeout_s is not None:
        yield f"callers give up after {fit.prepared.timeout_s:.3g} s: such calls count as longer than that"
    if fit.sizes is not None:
        yield (
            f"twice the size takes {2**fit.sizes.exponent:.3g} times as long (size to the power of "
            f"{fit.sizes.exponent:.3g} \u00b1 {2 * fit.sizes.error:.2g}), from {fit.sizes.calls} calls"
        )
    for host, cores in fit.cores.items():
        yield f"host {host}: its endpoints share {cores} {'core' if cores == 1 else 'cores'}"
    for member in fit.members:
        yield f"{member.name}: {_endpoint(fit, member)}"
    yield from (f"NOT STATIONARY: {line}" for line in changes(fit))
    found = list(unknown(fit))
    if found:
        yield "not known:"
        yield from (f"  {line}" for line in found)


def changes(fit: Fit) -> Iterator[str]:
    """Yield how the times of endpoints change in the course of the trace, beyond what the fit has of it."""
    pattern = fit.caller_pattern
    if fit.batch is None and pattern.callers is None and (shape := load_shape(pattern.at_s)) is not None:
        how = {"trend": "changes little by little", "daily": "depends on the hour", "uneven": "is uneven"}[shape.kind]
        yield (
            f"the load {how}, from {shape.least_per_s:.3g} to {shape.most_per_s:.3g} requests/s; the fit has the "
            "arrivals as recorded"
        )
    for name, each in fit.endpoints.items():
        drift = each.drift
        if drift is None:
            continue
        by = f"{drift.ratio:.3g} times as long"
        if drift.kind == "step":
            line = f"since {drift.since_s:.3g} s its calls take {by}; the fit mixes both: cut the trace there"
        elif drift.kind == "trend":
            lasts_s = fit.prepared.lasts_s
            line = f"its calls change little by little: after {lasts_s:.3g} s they take {by}; the fit has their mean"
        else:
            line = (
                f"its times vary: in its slowest twentieth calls take {by} as in its fastest; the trace does not show "
                "in which spells, so the fit has none, and its p99 is too low"
            )
        yield f"{name}: {line}"


def runs_line(fit: Fit) -> str:
    """Return a line on the runs of the trace, if there are several, and on the callers named in it; "" for one run."""
    calls = Counter(each.run for each in fit.prepared.attempts)
    named = Counter(each.run for each in fit.prepared.attempts if each.task is not None)
    if len(calls) < 2:
        return ""
    told = ", ".join(
        f"{run} with {count} {'call' if count == 1 else 'calls'}{_of_names(named[run], count)}"
        for run, count in calls.items()
    )
    lost = 0 < named.total() < calls.total() and not fit.caller_pattern.named
    return f"{len(calls)} runs: {told}" + ("; so names do not identify callers" if lost else "")


def _of_names(named: int, calls: int) -> str:
    return "" if named == calls else f" ({calls - named} without a name)" if named else " (none with a name)"


def fit_data(fit: Fit) -> dict[str, Any]:
    """Return the fit as plain data."""
    return {
        "calls": len(fit.prepared.attempts),
        "lasts_s": fit.prepared.lasts_s,
        "strategy": fit.strategy,
        "callers": fit.caller_pattern.callers,
        "think_mean_s": float(pauses.mean()) if len(pauses := fit.caller_pattern.pauses_s(200)) else None,
        "timeout_s": fit.prepared.timeout_s,
        "hosts": dict(fit.cores),
        "size_exponent": fit.sizes.exponent if fit.sizes else None,
        "endpoints": {
            member.name: {
                "calls": len(each.calls),
                "ended": int((~each.sound.open).sum()),
                "behaviour": str(each.tried.behaviour),
                "in_doubt": [str(each.tried.behaviours[place]) for place in each.tried.in_doubt],
                "most_at_once": each.most,
                "capacity": member.capacity if member.capacity < NO_LIMIT else None,
                "capacity_from": member.source,
                "factor": fit.times.factor[member.name],
                "mean_s": {
                    kind: float(fit.times.of[member.name][place].mean())
                    for place, kind in enumerate(fit.prepared.kinds)
                },
                "own": {kind: fit.times.own[member.name][place] for place, kind in enumerate(fit.prepared.kinds)},
                "spells": _spells_data(each.spells),
                "drift": asdict(each.drift) if each.drift else None,
                "refused": each.refusals.calls,
                "refuse_beyond": each.refusals.beyond,
                "retry_after_s": each.refusals.retry_after_s,
                "outages": len(each.troubles.outages),
                "failures": each.troubles.quick_part + each.troubles.slow_part,
            }
            for member in fit.members
            for each in [fit.endpoints[member.name]]
        },
        "unknown": list(unknown(fit)),
    }


def _spells_data(spells: Spells | None) -> dict[str, Any] | None:
    if spells is None:
        return None
    names = ("between_s", "fixed", "share")
    return {"kinds": [asdict(each) for each in spells.kinds], **{name: getattr(spells, name) for name in names}}


def _apart(fit: Fit) -> Iterator[str]:
    """Yield that kinds have no endpoint in common, as the backends of a proxy have none."""
    if any(member.labels for member in fit.members):  # which kind goes where is known
        return
    used: dict[str | None, set[str]] = {}
    for each in fit.prepared.attempts:
        used.setdefault(each.kind, set()).add(each.endpoint)
    if len(used) > 1 and sum(map(len, used.values())) == len(set.union(*used.values())):
        yield (
            f"whether {', '.join(sorted(map(str, used)))} may go to each other's endpoints: here they do, in the trace "
            "they never did; fit each alone (balancer fit --kind)"
        )


def unknown(fit: Fit) -> Iterator[str]:
    """Yield what cannot be known from the trace."""
    trace = fit.prepared.trace
    yield from _apart(fit)
    if fit.strategy is None:
        why = "its endpoints take turns, so it is" if fit.takes_turns else "assumed to be"
        yield f"the strategy: {why} {fit.policy.strategy}; another one: --set strategy=NAME"
    else:
        yield "options of the strategy, settings of health and limits: assumed to be the defaults"
    for member in fit.members:
        yield from (f"{member.name}: {line}" for line in _unknown_of(fit, member))
    if fit.caller_pattern.callers is not None and not fit.caller_pattern.named:
        if len(fit.caller_pattern.thinks_s):
            yield (
                "who calls: no call has a holder; fewer calls come while more are under way, as from this number of "
                "callers with exponential pauses"
            )
        else:
            yield "pauses between the calls of a caller: no call has a holder, so none are assumed"
    if fit.caller_pattern.callers is None and not any(each.task for each in fit.prepared.attempts):
        yield "whether callers wait for their answers, or for each other in stages: no call has a holder"
    if trace.lost:
        yield f"{trace.lost} lost rows"
    if fit.sizes is None and any(each.size is not None for each in fit.prepared.attempts):
        yield "how time grows with size: not clearly, or too few calls have a size"
    if any(each.event == "hedged" for each in trace.events):
        yield "the delay before a hedge: hedging is left out"
    if fit.attempts > 1:
        yield f"the number of attempts: assumed to be {fit.attempts}"
    happened = {each.event for each in trace.events}
    if "limit" in happened and "restored" not in happened:  # slow start changes limits as well, and is simulated
        yield "changes of limits: left out; the capacity counts"
    if np.isnan(np.concatenate([each.calls.server_s for each in fit.endpoints.values()])).all():
        yield "the share of the network: no server reports its time, so the network is part of its times"
    elif not any(len(each.away_s) for each in fit.endpoints.values()):
        yield f"the share of the network: less than {NO_NETWORK:.1%} of a call, or too few reports, so it is left out"


def _unknown_of(fit: Fit, member: Member) -> Iterator[str]:
    found = fit.endpoints[member.name]
    if not len(found.calls):
        yield "everything: it had no call, so it is assumed to be like the others"
        return
    if member.url != member.name:
        yield f"its address: a trace has only names, so {member.url} stands for it"
    ended = int((~found.sound.open).sum())
    if member.source == "others":
        yield f"its capacity: no call waited for it; assumed to be {member.capacity}, as that of the others"
    elif member.source == "no wait":
        why = "its waits do not show one" if member.waited else "no call waited for it"
        yield f"its capacity: {why}; assumed to be without limit (it had at most {member.seen} calls at once)"
    elif member.source == "seen":
        yield f"its capacity: only {member.waited} calls waited for it; assumed to be {member.seen}, the most at once"
    most = min(found.most, member.most)
    if most < member.capacity:
        yield f"its behaviour with more than {most} at once: it never had more"
    fewest = _fewest(found)
    if 2 * fewest > found.most > 1:
        yield f"its behaviour with fewer than {fewest} at once: it rarely had fewer"
    if ended < 50:
        yield f"its own times: only {ended} of its calls ended, so they are in part scaled from those of the others"
    part = beyond(found.sound.held_s, found.sound.open) if ended else 1.0
    if part > 0.01:
        yield f"the duration of the longest {part:.1%} of its calls: they had not ended"
    refusals = found.refusals
    if unexplained := refusals.calls - refusals.explained:
        limit = "no number" if refusals.beyond is None else f"not more than {refusals.beyond}"
        yield (
            f"why it refused {unexplained} of its calls: {limit} at once explains them, so they count as failures, "
            "without a rest"
        )
    if refusals.beyond is not None and refusals.beyond >= member.capacity:
        yield f"who else uses it: it refuses beyond {refusals.beyond}, and has {member.capacity} from here at most"
    if not found.troubles.outages:
        watched_s = found.troubles.watched_s
        once_s = watched_s / _THREE
        yield f"its rate of outages: none in {watched_s:.3g} s, so less than one in {once_s:.3g} s (95%)"
    elif len(found.troubles.outages) < 5:
        yield f"its rate of outages: only {len(found.troubles.outages)} seen, so the rate is rough"


def _fewest(found: EndpointFit) -> int:
    """Return the calls at once, itself included, that 95% of its calls reached or exceeded at their begin."""
    begun_s, ended_s = found.sound.begun_s, np.sort(found.sound.ended_s)
    if not len(begun_s):
        return 0
    there = np.arange(1, len(begun_s) + 1) - np.searchsorted(ended_s, begun_s, side="right")
    return int(np.quantile(there, 0.05))


def _who(fit: Fit) -> str:
    if fit.batch is not None:
        return _pipeline(fit.batch)
    caller_pattern = fit.caller_pattern
    if caller_pattern.callers is None:
        in_s, several = f"{fit.prepared.lasts_s:.3g} s", ""
        if have_several_at_once(fit.prepared.attempts):
            several = "; a name has several calls at once, like a problem of the pipeline; plan uses that"
            if len({each.task.partition(": ")[0] for each in fit.prepared.attempts if each.task}) < FEWEST_PROBLEMS:
                several += f"; a run is fitted as a batch from {FEWEST_PROBLEMS} problems on"
        return f"open arrivals: {len(caller_pattern.at_s)} in {in_s}{several}"
    pauses_s = caller_pattern.pauses_s(200)
    pause = f", then pauses for {pauses_s.mean():.3g} s" if len(pauses_s) else ""
    return f"closed loop: {caller_pattern.callers} callers, each waits for its answer{pause}"


def _pipeline(batch: Mapping[str, Any]) -> str:
    stages = []
    for place, stage in enumerate(batch["stages"]):
        calls = sum(counts[place] for counts in batch["counts"])
        late_s = np.mean(stage["late"]["values_s"]) if "late" in stage else 0.0
        late = f", {late_s:.3g} s late" if late_s >= _LATE_S else ""
        stages.append(f"{stage['name']} ({calls} calls, {stage['workers']} threads{late})")
    problems = f"{batch['samples']} problems, {batch['samples_at_once']} at once"
    return f"a pipeline: {problems}, through {len(stages)} stages: {', '.join(stages)}"


def _endpoint(fit: Fit, member: Member) -> str:
    found = fit.endpoints[member.name]
    if not len(found.calls):
        return "no calls"
    ended = int((~found.sound.open).sum())
    parts = [f"{len(found.calls)} calls, {ended} with a usable duration"]
    if member.source == "waits":
        parts.append(f"capacity {member.capacity}: as many were in use after most of {member.waited} waits")
    for place, kind in enumerate(fit.prepared.kinds):
        times = fit.times.of[member.name][place]
        name = f" of {kind}" if len(fit.prepared.kinds) > 1 else ""
        parts.append(
            f"{times.mean():.3g} s of work{name} (p50 {np.median(times):.3g}, p99 {np.quantile(times, 0.99):.3g})"
        )
    parts.append(_TOO_FEW if fit.few else str(found.tried.behaviour))
    if len(found.tried.in_doubt) > 1:
        others = [str(found.tried.behaviours[n]) for n in found.tried.in_doubt if n != found.tried.chosen]
        named = " or ".join(others[:_NAMED]) + (f" or {len(others) - _NAMED} more" if len(others) > _NAMED else "")
        parts.append(f"equally likely with so few calls: {named}")
    troubles, refusals = found.troubles, found.refusals
    if refusals.beyond is not None:
        rest = f", and asks for a rest of {refusals.retry_after_s:.3g} s" if refusals.retry_after_s else ""
        parts.append(
            f"refuses calls beyond {refusals.beyond} at once ({refusals.explained} of {len(found.calls)} calls){rest}"
        )
    if spells := found.spells:
        kinds = " or ".join(
            f"{each.factor:.3g} times as long for {_length(each.lasts_s, each.fixed)}" for each in spells.kinds
        )
        share = f" ({spells.share:.0%} of them)" if spells.share else ""
        parts.append(
            f"slow spells: {kinds}{share}, after {_length(spells.between_s, spells.fixed)} ({spells.whole} whole ones "
            "seen)"
        )
    if troubles.outages:
        many = len(troubles.outages)
        parts.append(f"{many} {'outage' if many == 1 else 'outages'}, of {troubles.mttr_s:.3g} s on average")
    if failing := troubles.quick_part + troubles.slow_part:
        parts.append(f"{failing:.1%} of its calls fail")
    return "; ".join(parts)


def _length(mean_s: float, fixed: bool) -> str:
    return f"{mean_s:.3g} s" if fixed else f"{mean_s:.3g} s on average"


def as_toml(data: Mapping[str, Any], remarks: Iterable[str] = ()) -> str:
    """Return `data` as TOML, with a comment line for each remark above. None and empty tables are left out."""
    lines = [f"# {line}".rstrip() for remark in remarks for line in remark.splitlines()]
    return "\n".join([*lines, *([""] if lines else []), *_table(data, ())]) + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    later = []
    for key, value in data.items():
        if value is None or value == {}:
            continue
        if isinstance(value, Mapping) and path in ((), ("hosts",)):
            later.append((key, [value], False))
        elif path == () and isinstance(value, list) and value and isinstance(value[0], Mapping):
            later.append((key, value, True))
        else:
            yield f"{_key(key)} = {_value(value)}"
    for key, tables, many in later:
        name = ".".join(map(_key, (*path, key)))
        for table in tables:
            nested = all(isinstance(each, Mapping) for each in table.values())
            if not (nested and not many):
                yield from ("", f"[[{name}]]" if many else f"[{name}]")
            yield from _table(table, (*path, key))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items() if each is not None) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() else json.dumps(name, ensure_ascii=False)
