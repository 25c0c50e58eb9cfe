"""The predictions of show_whatif: a log is fitted, changed as a question says, and held against the real run."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from balancer_simulator import Fit, WhatIf, fit_trace
from balancer_simulator.fitting.description import fit_lines
from balancer_simulator.fitting.fit import Troubles
from balancer_simulator.predicting.predict import FitDraws, Predicted, predict_next
from balancer_simulator.studies.parallel import Simulators

from balancer.observing.traces import Trace, read_trace
from tests.benchmarks.harness import ROOT, Row, stream
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
    """Return the log of a run as a trace, by the command for it."""
    out = folder / "trace.jsonl"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "balancer", "trace", str(folder / "log"), "--from", proxy, "--out", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if ran.returncode:
        sys.exit(ran.stderr)
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


def asked_of(setup: Setup, named: Mapping[str, str], outages: Troubles) -> WhatIf:
    """Return a question as `balancer predict` takes it. `named`: the name of each server in the log."""
    change = setup.change
    strategy = _STRATEGIES[change["balance"]] if "balance" in change else None
    if setup.weights:  # those of nginx's round robin
        strategy = "weighted_round_robin"
    return WhatIf(
        settings={"strategy": strategy} if strategy else {},
        without=(named[change["without"]],) if "without" in change else (),
        capacities=dict.fromkeys(named.values(), change["maxconn"]) if "maxconn" in change else {},
        add={named[change["more_like"]]: 1} if "more_like" in change else {},
        load=change.get("load", 1.0),
        troubles=outages,
    )


def known_of(fit: Fit, setup: Setup, named: Mapping[str, str]) -> Fit:
    """Return the fit with what a question says and `balancer predict` has no option for: weights, and, with slow spells
    at recorded instants, no outage.
    """
    weights = {named[name]: float(many) for name, many in setup.weights.items()}
    members = tuple(replace(member, weight=weights.get(member.name, member.weight)) for member in fit.members)
    endpoints = fit.endpoints
    if setup.outage is None:
        endpoints = {
            name: replace(each, troubles=replace(each.troubles, outages=())) for name, each in endpoints.items()
        }
    return replace(fit, members=members, endpoints=endpoints)


def predicted(
    fit: Fit, setup: Setup, named: Mapping[str, str], draws: tuple[int, int], outages: Troubles
) -> Mapping[str, Predicted]:
    """Return the figures of one next run, with the question's change. `draws`: their number, and that of processes."""
    count, jobs = draws
    with Simulators(jobs) as simulators:
        asked = asked_of(setup, named, outages)
        found = predict_next(known_of(fit, setup, named), FitDraws(simulators, count), asked)
    return found.figures


def judged(setups: Sequence[Setup], folder: Path, draws: tuple[int, int], outages: Troubles) -> None:
    """Print what was predicted of each question from the log of the base, beside what came."""
    found: list[Judged] = []
    for proxy in dict.fromkeys(each.proxy for each in setups):
        base, *questions = (each for each in setups if each.proxy == proxy)
        fit = fit_trace(trace_of(folder / base.folder, proxy))
        ports = json.loads((folder / base.folder / "facts.json").read_text())["ports"]
        named = {name: f"be/{name}" if proxy == "haproxy" else f"127.0.0.1:{port}" for name, port in ports.items()}
        print(f"\n{proxy}\n", *fit_lines(fit), sep="\n")

        def rows(base: Setup, questions: list[Setup], fit: Fit, named: Mapping[str, str]) -> Iterator[Row]:
            for setup in (base, *questions):
                if not (folder / setup.folder / "facts.json").exists():
                    continue
                one = Judged(
                    setup, predicted(fit, setup, named, draws, outages),
                    came(trace_of(folder / setup.folder, setup.proxy)),
                )  # fmt: skip
                if setup.question:
                    found.append(one)
                yield setup.question or "as it is", *_cells(one)

        head = " | ".join(f"{name}: predicted | came | error" for name in ("mean, s", "p99, s", "wait p99, s"))
        stream(f"{proxy} | {head}", rows(base, questions, fit, named))
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
        if off:
            print(f"{name}: {held} of {len(mine)} intervals hold what came; median error {statistics.median(off):.1%}")
