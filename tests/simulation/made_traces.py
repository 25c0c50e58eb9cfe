"""Traces of simulated runs: what a pool would have written of a scenario that is known."""

from dataclasses import replace
from pathlib import Path

from balancer_simulator import Scenario, simulate_once
from balancer_simulator.world.task import Task

from balancer.endpoint import Lease
from balancer.observing.traces import Attempt, Trace
from balancer.observing.traces.rows import data_of, line
from tests.simulation.scenarios import spans

__all__ = ["imported", "made_trace", "written"]


def made_trace(
    scenario: Scenario, strategy: str = "least_in_flight", *, replication: int = 0, named: bool = True
) -> Trace:
    """Return the trace of a run; `named`: it says which caller made each call."""
    callers: dict[int, str] = {}

    def note(task: Task, lease: Lease) -> None:
        if task.worker is not None:
            callers[task.number] = f"caller {task.worker.index}"

    record = simulate_once(scenario, strategy, replication, observer=note)
    attempts = [
        Attempt(
            "made", number, span.asked_s, span.started_s, span.ended_s, span.url,
            task=callers.get(span.task) if named else None,
            kind=None if span.kind == "all" else span.kind,
            outcome="success" if span.ok else "overload" if span.refused else "failure",
            retry_after_s=scenario.by_url[span.url].retry_after_s if span.refused else None,
        )
        for number, span in enumerate(sorted(spans(record), key=lambda span: span.started_s))
    ]  # fmt: skip
    endpoints = [
        {"name": url, "host": model.endpoint(url).host, "capacity": model.capacity, "weight": model.weight}
        for url, model in scenario.by_url.items()
    ]
    run = {"row": "run", "version": 1, "run": "made", "strategy": strategy, "endpoints": endpoints}
    return Trace(runs=[run], attempts=attempts, ended={"made"})


def imported(trace: Trace) -> Trace:
    """Return the calls without the facts of the pool, as in the log of a proxy."""
    return Trace(attempts=[replace(each, host=None) for each in trace.attempts])


def written(trace: Trace, folder: Path) -> Path:
    """Return a file that has it."""
    path = folder / "trace.jsonl"
    path.write_text("".join(map(line, [trace.runs[0], *map(data_of, trace.attempts)])), encoding="utf-8")
    return path
