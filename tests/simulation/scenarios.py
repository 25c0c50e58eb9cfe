"""Small scenarios for tests, said in a line, and what comes of them.

Nobody is ejected, unless `health` is given. Instants and works are dyadic (0.25, 1.5), so that sums of them are exact
and tests may ask for equality.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from balancer_simulator import Policy, Record, Scenario, simulate_once
from balancer_simulator.run.disciplines import BASELINES

from tests.registered import NAMES

__all__ = [
    "ALL", "BROKEN", "ONCE", "arriving", "at", "batch", "calls", "change", "closed", "ended", "endpoint", "run",
    "spans", "times",
]  # fmt: skip

ALL = [*NAMES, *BASELINES]
"""Every strategy that is registered, and the baselines."""

ONCE = {"attempts": 1}
BROKEN: dict[str, Any] = {"faults": [{"kind": "fail_within"}]}

Given = Mapping[str, Any]


def endpoint(url: str = "a", **values: Any) -> dict[str, Any]:
    """Return an endpoint with one slot, unless `values` say otherwise."""
    return {"url": url, **values}


def change(at_s: float, do: str, url: str = "a", **values: Any) -> dict[str, Any]:
    """Return a change of the membership."""
    return {"at_s": at_s, "do": do, "url": url, **values}


def at(at_s: Sequence[float], work_s: Sequence[float] | float = 1.0, *endpoints: Given, **values: Any) -> Scenario:
    """Return a scenario with requests at the given instants; `work_s` is of each, or the same for all."""
    works = [work_s] * len(at_s) if isinstance(work_s, int | float) else list(work_s)
    return _scenario({"kind": "arrivals", "at_s": list(at_s), "work_s": works}, endpoints, values)


def arriving(rate_per_s: float, *endpoints: Given, **values: Any) -> Scenario:
    """Return a scenario with requests that come at random; those of `values` stand for all else."""
    return _scenario({"kind": "poisson", "rate_per_s": rate_per_s}, endpoints, values)


def closed(workers: int, think_s: float, work_s: float, *endpoints: Given, **values: Any) -> Scenario:
    """Return a scenario with workers that think and ask in turn; both take the same time every time."""
    think = {"kind": "deterministic", "mean_s": think_s}
    work = {"kind": "deterministic", "mean_s": work_s}
    return _scenario({"kind": "closed", "workers": workers, "think": think}, endpoints, {"work": work, **values})


def batch(stages: Sequence[Given], *endpoints: Given, samples: int = 1, **values: Any) -> Scenario:
    """Return a batch; `samples_at_once` may be among `values`; a task takes 1 s."""
    shape = {name: values.pop(name) for name in ("samples_at_once",) if name in values}
    workload = {"kind": "batch", "samples": samples, "stages": list(stages), **shape}
    return _scenario(workload, endpoints, {"work": {"kind": "deterministic", "mean_s": 1.0}, **values})


def _scenario(workload: Given, endpoints: Sequence[Given], values: Given) -> Scenario:
    usual = {"endpoints": list(endpoints or [endpoint()]), "horizon_s": 100.0, "health": None}
    return Scenario.model_validate({"workload": workload, **usual, **values})


def run(scenario: Scenario, policy: str = "fifo", replication: int = 0, **values: Any) -> Record:
    """Run `scenario` once."""
    return simulate_once(scenario, Policy(strategy=policy), replication, **values)


def spans(record: Record) -> list[Any]:
    """Return every call that has ended, as they ended: task, kind, url, asked_s, started_s, ended_s, ok, refused."""
    rows = record.calls.query("started_s.notna() and ended_s.notna() and end != 'dropped'")
    rows = rows.assign(ok=rows.end == "answered", refused=rows.end == "refused")
    return list(rows.rename(columns={"request": "task", "endpoint": "url"}).itertuples(index=False))


def calls(record: Record) -> list[tuple[int, str, float, float, bool]]:
    """Return (task, URL, start, end, succeeded) of every call that has ended, as they ended."""
    return [(span.task, span.url, span.started_s, span.ended_s, span.ok) for span in spans(record)]


def times(record: Record) -> list[tuple[float, float]]:
    """Return (start, end) of every call that has ended, by task, then as they ended."""
    return [(span.started_s, span.ended_s) for span in sorted(spans(record), key=lambda span: span.task)]


def ended(record: Record) -> tuple[int, int, int, int]:
    """Return how many requests were completed, lost, timed out, and unfinished."""
    return record.completed, record.lost, record.timed_out, record.unfinished
