"""Recorded arrivals, read from a trace of a pool, of any form that `read_trace` takes.

The work of each call that succeeded is the time that its lease was held. Its key is its session and its prompt.
"""

from pathlib import Path
from typing import Any

from balancer.observing.traces import read_trace, tables
from balancer_simulator.scenario.workload import Arrivals

__all__ = ["begins_a_trace", "recorded"]


def recorded(workload: Arrivals, folder: Path) -> Arrivals:
    """Return `workload` with the content of its `file`, which is relative to `folder`.

    Raises:
        ValueError, ConfigError: a line is not as it must be.
        OSError: it cannot be read.
    """
    if workload.file is None:
        return workload
    path = folder / workload.file
    if not begins_a_trace(path):
        raise ValueError(
            f"{path}: is no trace; make one of it: balancer fit --summary {path} --from csv --out trace.jsonl"
        )
    calls = [attempt for attempt in read_trace(path).attempts if attempt.outcome in (None, "success")]
    runs = {call.run for call in calls}
    if len(runs) != 1:
        raise ValueError(f"{path}: has calls that succeeded of {len(runs)} runs; give a trace of one run")
    calls.sort(key=lambda call: call.asked_s)
    keys = [call.key or "" for call in calls]
    named: dict[str, Any] = {"prompts": keys, "sessions": keys} if any(keys) else {}
    at_s = [call.asked_s - calls[0].asked_s for call in calls]
    # Not a constructor call: a mistake is one of the file, not of Python code.
    return Arrivals.model_validate({"at_s": at_s, "work_s": [call.held_s for call in calls], **named})


def begins_a_trace(path: Path) -> bool:
    """Return whether the file at `path` looks like a trace of a pool. Raises OSError."""
    with path.open("rb") as file:
        return file.read(16).startswith((b'{"row"', tables.MAGIC))
