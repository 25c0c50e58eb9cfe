"""The predictions of show_whatif: a log is fitted, changed as a question says, and held against the real run."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from balancer_simulator import Fit, Scenario, fit_trace
from balancer_simulator.predicting.predict import Predicted, prediction_of
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.studies.parallel import run_each

from balancer.commands.trace import trace_data
from balancer.errors import ConfigError
from balancer.observing.traces import Trace, read_trace
from tests.benchmarks.harness import Row, stream
from tests.benchmarks.proxied import Setup

__all__ = ["judged"]

FIGURES = ("sojourn_mean_s", "sojourn_p99_s", "wait_p99_s")
_STRATEGIES = {
    "leastconn": "least_in_flight", "least_conn": "least_in_flight",
    "roundrobin": "round_robin", "round_robin": "round_robin",
}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What was predicted of a question, and what came."""

    setup: Setup
    predicted: Mapping[str, Predicted]
    came: Mapping[str, float]


def trace_of(folder: Path, proxy: str) -> Trace:
    """Return the log of a run as a trace."""
    log, out = folder / "log", folder / "trace.jsonl"
    out.unlink(missing_ok=True)
    try:
        trace_data(log, source=proxy, log_format=None, columns=(), out=out)
    except ConfigError as error:
        print(f"only its lines of requests are read: {error}")
        bare = folder / "log.requests"
        bare.write_text("".join(line for line in log.open() if " web be/" in line))
        trace_data(bare, source=proxy, log_format=None, columns=(), out=out)
    return read_trace(out)


def came(trace: Trace) -> dict[str, float]:
    """Return the figures of a real run: of requests that were answered, as the simulator counts them."""
    requests: dict[str, list[Any]] = {}
    for each in trace.attempts:
        requests.setdefault(each.task or "", []).append(each)
    whole = [mine for mine in requests.values() if mine[-1].outcome == "success"]
    took_s = [mine[-1].ended_s - mine[0].asked_s for mine in whole]
    waits_s = [mine[0].waited_s for mine in whole]
    return dict(
        zip(FIGURES, (statistics.fmean(took_s), np.quantile(took_s, 0.99), np.quantile(waits_s, 0.99)), strict=True)
    )


def changed(scenario: Scenario, setup: Setup, urls: Mapping[str, str]) -> Scenario:
    """Return the scenario of the base as a question changes it. `urls`: of each server, by its name."""
    change = setup.change
    models = [model for model in scenario.endpoints if model.url != urls.get(change.get("without", ""))]
    if "more_like" in change:
        like = next(model for model in models if model.url == urls[change["more_like"]])
        models.append(like.model_copy(update={"url": "http://one-more/"}))
    if "maxconn" in change:
        models = [model.model_copy(update={"capacity": change["maxconn"]}) for model in models]
    if "weights" in change:
        weight = {urls[name]: many for name, many in change["weights"].items()}
        models = [model.model_copy(update={"weight": weight[model.url]}) for model in models]
    if change.get("outage") is False:
        models = [model.model_copy(update={"faults": []}) for model in models]
    return scenario.changed(endpoints=models)


def arrivals(fit: Fit, load: float, rng: np.random.Generator, requests: int) -> dict[str, Any]:
    """Return as many requests as will come, at the pace of the log times `load`."""
    gaps_s = np.diff(fit.caller_pattern.at_s)
    at_s = np.cumsum(rng.choice(gaps_s, requests)) / load
    return {"kind": "arrivals", "at_s": np.round(at_s, 6).tolist()}


def predicted(fit: Fit, setup: Setup, urls: Mapping[str, str], draws: int, jobs: int) -> dict[str, Predicted]:
    """Return the figures of one next run, with the question's change."""
    rng = np.random.default_rng(1)
    scenarios = []
    for _ in range(draws):
        workload = arrivals(fit, setup.change.get("load", 1.0), rng, setup.requests)
        scenarios.append(
            changed(fit.scenario(draw=rng, workload=workload, horizon_s=workload["at_s"][-1] + 60.0), setup, urls)
        )
    strategy = _STRATEGIES[setup.balance]
    if setup.weights:
        strategy = "weighted_round_robin"
    records = run_each(scenarios, Policy(strategy=strategy), jobs=jobs)
    return {name: prediction_of([record.metrics[name] for record in records]) for name in FIGURES}


def judged(setups: Sequence[Setup], folder: Path, draws: int, jobs: int) -> None:
    """Print what was predicted of each question from the log of the base, beside what came."""
    found: list[Judged] = []
    for proxy in dict.fromkeys(each.proxy for each in setups):
        base, *questions = (each for each in setups if each.proxy == proxy)
        fit = fit_trace(trace_of(folder / base.folder, proxy))
        ports = json.loads((folder / base.folder / "facts.json").read_text())["ports"]
        named = {name: f"be/{name}" if proxy == "haproxy" else f"127.0.0.1:{port}" for name, port in ports.items()}
        urls = {name: member.url for name, at in named.items() for member in fit.members if member.name == at}
        print(f"\n{proxy}: capacities {[member.capacity for member in fit.members]}\n")

        def rows(base: Setup, questions: list[Setup], fit: Fit, urls: Mapping[str, str]) -> Iterator[Row]:
            for setup in (base, *questions):
                if not (folder / setup.folder / "facts.json").exists():
                    continue
                one = Judged(
                    setup, predicted(fit, setup, urls, draws, jobs), came(trace_of(folder / setup.folder, setup.proxy))
                )
                if setup.question:
                    found.append(one)
                yield setup.question or "as it is", *_cells(one)

        head = " | ".join(f"{name}: predicted | came | error" for name in ("mean, s", "p99, s", "wait p99, s"))
        stream(f"{proxy} | {head}", rows(base, questions, fit, urls))
    _summary(found)


def _cells(one: Judged) -> Iterator[str]:
    for name in FIGURES:
        told, real = one.predicted[name], one.came[name]
        yield f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"
        yield f"{real:.3g}{'' if told.holds(real) else ' *'}"
        yield f"{told.value / real - 1:+.1%}" if real else f"{told.value - real:+.3g} s"


def _summary(found: Sequence[Judged]) -> None:
    print()
    for name in FIGURES:
        mine = [each for each in found if name != "wait_p99_s" or each.setup.proxy == "haproxy"]
        held = sum(each.predicted[name].holds(each.came[name]) for each in mine)
        off = [abs(each.predicted[name].value / each.came[name] - 1) for each in mine if each.came[name]]
        print(f"{name}: {held} of {len(mine)} intervals hold what came; median error {statistics.median(off):.1%}")
