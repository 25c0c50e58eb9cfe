"""Description of a fit: what was fitted, from how many calls, and what is unknown."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from balancer.reporting.words import count
from balancer_simulator.fitting.calls import FEWEST
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.members import Member
from balancer_simulator.fitting.stages import FEWEST as FEWEST_PROBLEMS

__all__ = ["as_toml", "changes", "fit_lines", "runs_line", "unknown"]


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
    for host, cores in fit.cores.items():
        yield f"host {host}: its endpoints share {count(cores, 'core')}"
    for member in fit.members:
        yield f"{member.name}: {'; '.join(_endpoint(fit, member))}"
    yield from (f"NOT STATIONARY: {line}" for line in changes(fit))
    if found := list(unknown(fit)):
        yield "not known:"
        yield from (f"  {line}" for line in found)


def changes(fit: Fit) -> Iterator[str]:
    """Yield how the times of endpoints change in the course of the trace, beyond what the fit has of it."""
    for name, each in fit.endpoints.items():
        if each.drift is not None:
            yield (
                f"{name}: its times change: in its slowest quarter, e.g. at {each.drift.at_s:.3g} s, calls take "
                f"{each.drift.ratio:.3g} times as long as in its fastest; the fit mixes both, so its p99 is too low"
            )


def runs_line(fit: Fit) -> str:
    """Return a line on the runs of the trace, if there are several; "" for one run."""
    calls = Counter(each.run for each in fit.prepared.attempts)
    told = ", ".join(f"{run} with {count(many, 'call')}" for run, many in calls.items())
    return f"{len(calls)} runs: {told}" if len(calls) > 1 else ""


def unknown(fit: Fit) -> Iterator[str]:
    """Yield what is known of some traces, and not from this one. What no trace tells is in docs/prediction.md."""
    pattern, attempts = fit.caller_pattern, fit.prepared.attempts
    used: dict[str | None, set[str]] = {}
    for each in attempts:
        used.setdefault(each.kind, set()).add(each.endpoint)
    known = any(member.labels for member in fit.members)  # which kind goes where
    if not known and len(used) > 1 and sum(map(len, used.values())) == len(set.union(*used.values())):
        yield (
            f"whether {', '.join(sorted(map(str, used)))} may go to each other's endpoints: here they do, in the trace "
            "they never did; fit each alone (balancer fit --kind)"
        )
    if fit.strategy is None:
        why = "its endpoints take turns, so it is" if fit.takes_turns else "assumed to be"
        yield f"the strategy: {why} {fit.policy.strategy}; another one: --set strategy=NAME"
    for member in fit.members:
        yield from (f"{member.name}: {line}" for line in _unknown_of(fit, member))
    if pattern.callers is not None and not pattern.named:
        pauses = "callers pause for exponential times" if len(pattern.thinks_s) else "callers do not pause"
        yield f"who calls: no call has a holder; assumed that {pauses}"
    elif not any(each.task for each in attempts):
        yield "whether callers wait for their answers, or for each other in stages: no call has a holder"
    if watched_s := [each.troubles.watched_s for each in fit.endpoints.values() if not each.troubles.outages]:
        yield f"the rate of outages where none was seen: less than one in {sum(watched_s) / 3:.3g} s, of all (95%)"
    if fit.prepared.trace.lost:
        yield f"{fit.prepared.trace.lost} lost rows"


def _unknown_of(fit: Fit, member: Member) -> Iterator[str]:
    found = fit.endpoints[member.name]
    if not len(found.calls):
        yield "everything: it had no call, so it is assumed to be like the others"
        return
    why = {
        "others": f"no call waited for it; assumed to be {member.capacity}, as that of the others",
        "no wait": f"{'its waits do not show one' if member.waited else 'no call waited for it'}; assumed to be "
        f"without limit (it had at most {member.seen} calls at once)",
        "seen": f"only {member.waited} calls waited for it; assumed to be {member.seen}, the most at once",
    }
    if member.source in why:
        yield f"its capacity: {why[member.source]}"
    if (most := min(found.most, member.most)) < member.capacity:
        yield f"its behaviour with more than {most} at once: it never had more"
    if (ended := int((~found.sound.open).sum())) < FEWEST:
        yield f"its own times: only {ended} of its calls ended, so they are in part scaled from those of the others"
    refusals, troubles = found.refusals, found.troubles
    if unexplained := refusals.calls - refusals.explained:
        limit = "no number" if refusals.beyond is None else f"not more than {refusals.beyond}"
        yield f"why it refused {unexplained} of its calls: {limit} at once explains them, so they count as failures"
    if 0 < len(troubles.outages) < 5:
        yield f"its rate of outages: only {len(troubles.outages)} seen, so the rate is rough"


def _who(fit: Fit) -> str:
    pattern, batch = fit.caller_pattern, fit.batch
    if batch is not None:
        stages = [
            f"{stage['name']} ({sum(counts)} calls, {stage['workers']} threads)"
            for stage, counts in zip(batch["stages"], zip(*batch["counts"], strict=True), strict=True)
        ]
        problems = f"{batch['samples']} problems, {batch['samples_at_once']} at once"
        return f"a pipeline: {problems}, through {len(stages)} stages: {', '.join(stages)}"
    if pattern.callers is None:
        few = any(": " in (each.task or "") for each in fit.prepared.attempts)
        run = f"; a run of the pipeline is fitted as a batch from {FEWEST_PROBLEMS} problems on" if few else ""
        return f"open arrivals: {len(pattern.at_s)} in {fit.prepared.lasts_s:.3g} s{run}"
    pauses_s = pattern.pauses_s(200)
    pause = f", then pauses for {pauses_s.mean():.3g} s" if len(pauses_s) else ""
    return f"closed loop: {pattern.callers} callers, each waits for its answer{pause}"


def _endpoint(fit: Fit, member: Member) -> Iterator[str]:
    found = fit.endpoints[member.name]
    if not len(found.calls):
        yield "no calls"
        return
    yield f"{len(found.calls)} calls, {int((~found.sound.open).sum())} with a usable duration"
    if member.source == "waits":
        yield f"capacity {member.capacity}: as many were in use after most of {member.waited} waits"
    for place, kind in enumerate(fit.prepared.kinds):
        times = fit.times[member.name][place]
        name = f" of {kind}" if len(fit.prepared.kinds) > 1 else ""
        yield f"{times.mean():.3g} s of work{name} (p50 {np.median(times):.3g}, p99 {np.quantile(times, 0.99):.3g})"
    if fit.few:
        yield "its behaviour with several calls at once is unknown: assumed to work on each as if it were alone"
    else:
        yield str(found.tried.behaviour)
    troubles, refusals = found.troubles, found.refusals
    if refusals.beyond is not None:
        rest = f", and asks for a rest of {refusals.retry_after_s:.3g} s" if refusals.retry_after_s else ""
        explained = f"{refusals.explained} of {len(found.calls)} calls"
        yield f"refuses calls beyond {refusals.beyond} at once ({explained}){rest}"
    if spells := found.spells:
        lasts = f"{spells.factor:.3g} times as long for {spells.lasts_s.mean():.3g} s"
        yield f"slow spells: {lasts}, after {spells.between_s.mean():.3g} s ({len(spells.lasts_s)} whole ones seen)"
    if troubles.outages:
        yield f"{count(len(troubles.outages), 'outage')}, of {troubles.mttr_s:.3g} s on average"
    if failing := troubles.quick_part + troubles.slow_part:
        yield f"{failing:.1%} of its calls fail"


def as_toml(data: Mapping[str, Any], remarks: Iterable[str] = ()) -> str:
    """Return `data` as TOML, with a comment line for each remark above. None and what is empty are left out."""
    lines = [f"# {line}".rstrip() for remark in remarks for line in remark.splitlines()]
    lines += [""] if lines else []
    tables: list[str] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{_key(key)}]", *_pairs(value)] if value else []
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables += [line for each in value for line in ("", f"[[{_key(key)}]]", *_pairs(each))]
        else:
            lines += _pairs({key: value})
    return "\n".join([*lines, *tables]) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(each)}" for key, each in table.items() if each not in (None, {}, [])]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() else json.dumps(name, ensure_ascii=False)
