"""Stages of a pipeline in a trace: problems, their stages, the calls of each, the threads, the pauses between.

`balancer run` names each call "PROBLEM: STAGE". A problem goes through its stages in order, maybe several times. The
time before a stage without a call is that of generators, checks and the like.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from balancer.observing.traces import Attempt, Trace
from balancer_simulator.fitting.behaviour import most_of
from balancer_simulator.fitting.survival import empirical

__all__ = ["FEWEST", "as_batch", "by_stage", "problems_at_once"]

Key = tuple[str, int]
"""A stage: its name, and how often a problem has been in one of that name before."""

_NAMED: Final = 0.95  # share of the calls whose names are of problems and stages
_VALUES: Final = 50  # that represent all pauses
FEWEST: Final = 3  # problems
_SHARED: Final = 1.5  # problems that go through a stage, on average
_SHORT_S: Final = 1e-4


def by_stage(trace: Trace) -> Trace | None:
    """Return the trace with the stage as a part of each call's kind; None if names are not of problems and stages."""
    stages = [_apart(each)[1] for each in trace.attempts]
    if sum(map(bool, stages)) < _NAMED * len(stages):
        return None
    staged = [
        replace(each, kind="+".join(filter(None, (each.kind, stage))))
        for each, stage in zip(trace.attempts, stages, strict=True)
    ]
    return replace(trace, attempts=staged)


def problems_at_once(attempts: Sequence[Attempt]) -> int:
    """Return the most problems that were at work at once, of calls that `by_stage` has named.

    0 if these are no problems that go through the same stages: e.g. names such as "caller: 7".
    """
    problems, pairs = _problems(attempts), {_apart(each) for each in attempts} - {("", "")}
    if len(problems) < FEWEST or len(pairs) < _SHARED * len({stage for _, stage in pairs}):
        return 0
    begins_s = np.array([mine[0].asked_s for mine in problems.values()])
    return most_of(begins_s, np.array([_end_s(mine) for mine in problems.values()]))


def as_batch(attempts: Sequence[Attempt], at_once: int) -> dict[str, Any]:
    """Return the workload of problems in the order in which they began, of calls that `by_stage` has named.

    `at_once`: problems at work at once.
    """
    problems = _problems(attempts)
    parts = {name: _parts(mine) for name, mine in problems.items()}
    places = defaultdict[Key, list[float]](list)
    for mine in parts.values():
        for place, key in enumerate(mine):
            places[key].append(place)
    keys = sorted(places, key=lambda key: (key[1], float(np.mean(places[key]))))
    # There was room for a problem when an earlier one was over. Of the first ones, nobody knows.
    ends_s = sorted(map(_end_s, problems.values()))
    room_s = dict(zip(list(problems)[at_once:], ends_s, strict=False))
    stages = []
    for key in keys:
        there = {name: calls for name, calls in parts.items() if key in calls}
        late_s = []
        for name, calls in there.items():
            place, begins_s = list(calls).index(key), calls[key][0].asked_s
            before_s = _end_s(list(calls.values())[place - 1]) if place else room_s.get(name)
            if before_s is not None:
                late_s.append(max(0.0, begins_s - before_s))
        stages.append(_stage(key, [calls[key] for calls in there.values()], late_s))
    counts = [[len(mine.get(key, ())) for key in keys] for mine in parts.values()]
    return {
        "kind": "batch", "samples": len(counts), "samples_at_once": min(at_once, len(counts)), "counts": counts,
        "stages": stages,
    }  # fmt: skip


def _apart(each: Attempt) -> tuple[str, str]:
    """Return the problem and the stage of a call; without a stage, "" for both."""
    problem, sign, stage = (each.task or "").rpartition(": ")
    return (problem, stage) if sign else ("", "")


def _problems(attempts: Sequence[Attempt]) -> dict[str, list[Attempt]]:
    """Return the calls of each problem in order; first the problem that began first."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for each in sorted(attempts, key=lambda each: each.asked_s):
        problem, stage = _apart(each)
        if stage:
            found[problem].append(each)
    return found


def _parts(mine: Sequence[Attempt]) -> Mapping[Key, Sequence[Attempt]]:
    """Return the calls of one problem by stage, in order; a stage that comes again is another one."""
    found: dict[Key, list[Attempt]] = {}
    seen: dict[str, int] = defaultdict(int)
    for stage, calls in groupby(mine, key=lambda each: _apart(each)[1]):
        found[stage, seen[stage]] = list(calls)
        seen[stage] += 1
    return found


def _end_s(calls: Sequence[Attempt]) -> float:
    return max(each.ended_s for each in calls)


def _stage(key: Key, problems: Sequence[Sequence[Attempt]], late_s: Sequence[float]) -> dict[str, Any]:
    """Return a stage of a batch, from its calls of each problem."""
    times = [(np.array([e.asked_s for e in calls]), np.array([e.ended_s for e in calls])) for calls in problems]
    threads = max(most_of(*each) for each in times)
    pauses_s = [  # of threads that nobody has named: first come, first
        np.maximum(asked_s[threads:] - np.sort(ended_s)[: max(0, len(ended_s) - threads)], 0.0)
        for asked_s, ended_s in times
    ]
    found = {"name": f"{key[0]} {key[1] + 1}", "tasks": 1, "workers": threads, "kind": problems[0][0].kind or ""}
    for name, values_s in (("think", np.concatenate(pauses_s)), ("late", np.array(late_s))):
        if len(values_s) and values_s.mean() > _SHORT_S:
            found[name] = empirical(values_s, _VALUES)
    return found
