"""Recorded arrivals, read from a file: a published trace of prompts, or a trace of a pool.

- Prompts (lines of JSON): `timestamp` in milliseconds, `hash_ids`, the names of the blocks of the prompt, and
  `output_length`, the tokens of the answer. Mooncake's authors publish such traces (Qin and others, "Mooncake: Trading
  More Storage for Less Computation", FAST 2025).
- A trace of a pool, of any form that `read_trace` takes: of each call that succeeded, the work is the time that its
  lease was held. Its key is its session and its prompt.
"""

import json
from collections.abc import Iterator
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
    if begins_a_trace(path):
        found = _of_a_pool(path)
    elif path.suffix == ".jsonl":
        found = _prompts(path, workload.token_s)
    else:
        raise ValueError(
            f"{path}: is neither a trace nor prompts (.jsonl); make a trace of it: balancer fit --summary {path} "
            "--from csv --out trace.jsonl"
        )
    if workload.token_s is not None and "prompts" not in found:
        raise ValueError(f"{path}: has no prompts, for whose answers token_s is; leave it out")
    # Not a constructor call: a mistake is one of the file, not of Python code.
    return Arrivals.model_validate(found)


def begins_a_trace(path: Path) -> bool:
    """Return whether the file at `path` looks like a trace of a pool. Raises OSError."""
    with path.open("rb") as file:
        return file.read(16).startswith((b'{"row"', tables.MAGIC))


def _of_a_pool(path: Path) -> dict[str, Any]:
    calls = [call for call in read_trace(path).attempts if call.outcome in (None, "success")]
    runs = {call.run for call in calls}
    if len(runs) != 1:
        raise ValueError(f"{path}: has calls that succeeded of {len(runs)} runs; give a trace of one run")
    calls.sort(key=lambda call: call.asked_s)
    keys = [call.key or "" for call in calls]
    named = {"prompts": keys, "sessions": keys} if any(keys) else {}
    return {
        "at_s": [call.asked_s - calls[0].asked_s for call in calls],
        "work_s": [call.held_s for call in calls],
        **named,
    }


def _prompts(path: Path, token_s: float | None) -> dict[str, Any]:
    rows = sorted(_prompt_rows(path), key=lambda row: row[0])
    at_s, prompts, tokens = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    works = {"work_s": [token_s * each for each in tokens]} if token_s is not None else {}
    return {"at_s": at_s, "prompts": prompts, **works}


def _prompt_rows(path: Path) -> Iterator[tuple[float, str, float]]:
    """Yield the instant, the prompt and the tokens of the answer of each request."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                ids, tokens = row["hash_ids"], row["output_length"]
                if not isinstance(ids, list) or not all(isinstance(each, int | str) for each in ids):
                    raise TypeError
                yield row["timestamp"] / 1000, "/".join(map(str, ids)), float(tokens)
            except (ValueError, TypeError, KeyError):
                raise ValueError(
                    f"{path}:{number}: found {line[:60].strip()!r}; it must be an object with timestamp (ms), "
                    "output_length and hash_ids, a list"
                ) from None
