"""Stages of a pipeline in a trace: problems, their stages, the calls of each, the threads, the pauses between.

`balancer run` names each call "PROBLEM: STAGE". A problem goes through its stages in order, maybe several times. The
time before a stage without a call is that of generators, checks and the like.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from balancer.observing.traces import Attempt, Trace
from balancer_simulator.fitting.survival import quantile_means

__all__ = ["FEWEST", "PipelineStage", "PipelineStages", "as_batch", "by_stage", "problems_at_once", "stages_of"]

Key = tuple[str, int]
"""A stage: its name, and how often a problem has been in one of that name before."""

_NAMED: Final = 0.95  # share of the calls whose names are of problems and stages
_VALUES: Final = 50  # that represent all pauses
FEWEST: Final = 3  # problems
_SHARED: Final = 1.5  # problems that go through a stage, on average
_SHORT_S: Final = 1e-4
_MOST: Final = 16  # stages; if problems come and go between more, each name is one stage


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """A stage: name, kind of its calls, threads of one problem, pauses of a thread, seconds until it begins.

    `which` is 0 for the first time that a problem comes to a stage of this name, 1 for the second, and so on.
    """

    name: str
    which: int
    kind: str
    threads: int
    pauses_s: np.ndarray[Any, np.dtype[np.float64]]
    late_s: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def data(self) -> dict[str, Any]:
        """Its keys as a stage of a batch."""
        found: dict[str, Any] = {
            "name": f"{self.name} {self.which + 1}", "tasks": 1, "workers": self.threads, "kind": self.kind
        }  # fmt: skip
        for key, values_s in (("think", self.pauses_s), ("late", self.late_s)):
            if len(values_s) and values_s.mean() > _SHORT_S:
                found[key] = {"kind": "empirical", "values_s": [float(f"{value:.6g}") for value in values_s]}
        return found


@dataclass(frozen=True, slots=True)
class PipelineStages:
    """The stages of a pipeline, in order, and the number of calls that each problem made in each of them."""

    stages: tuple[PipelineStage, ...]
    counts: Mapping[str, tuple[int, ...]]


def as_batch(found: PipelineStages, at_once: int) -> dict[str, Any]:
    """Return the workload of these problems, in the order in which they began, `at_once` of them at once."""
    counts = [list(each) for each in found.counts.values()]
    return {
        "kind": "batch", "samples": len(counts), "samples_at_once": min(at_once, len(counts)), "counts": counts,
        "stages": [stage.data for stage in found.stages],
    }  # fmt: skip


def problems_at_once(attempts: Sequence[Attempt]) -> int:
    """Return the most problems that were at work at once, of calls that `by_stage` has named.

    0 if these are no problems that go through the same stages: e.g. names such as "caller: 7".
    """
    calls: dict[str, list[Attempt]] = defaultdict(list)
    pairs = set()
    for each in attempts:
        if (apart := _apart(each)) is not None:
            calls[apart[0]].append(each)
            pairs.add(apart)
    if len(calls) < FEWEST or len(pairs) < _SHARED * len({stage for _, stage in pairs}):
        return 0
    steps = [(min(each.asked_s for each in mine), 1) for mine in calls.values()]
    steps += [(_end_s(mine), -1) for mine in calls.values()]
    return int(np.cumsum([step for _, step in sorted(steps)]).max())


def by_stage(trace: Trace) -> Trace | None:
    """Return the trace with the stage as a part of each call's kind; None if names are not of problems and stages."""
    named = sum(_apart(each) is not None for each in trace.attempts)
    if named < _NAMED * len(trace.attempts):
        return None
    return replace(trace, attempts=[_of_stage(each) for each in trace.attempts])


def _of_stage(each: Attempt) -> Attempt:
    apart = _apart(each)
    return replace(each, kind="+".join([*([each.kind] if each.kind else []), apart[1]])) if apart else each


def _apart(each: Attempt) -> tuple[str, str] | None:
    problem, sign, stage = (each.task or "").rpartition(": ")
    return (problem, stage) if sign else None


def stages_of(attempts: Sequence[Attempt], at_once: int) -> PipelineStages:
    """Return the stages of calls that `by_stage` has named; `at_once`: problems at work at once."""
    problems: dict[str, list[Attempt]] = defaultdict(list)
    for each in sorted(attempts, key=lambda each: each.asked_s):
        if (apart := _apart(each)) is not None:
            problems[apart[0]].append(each)
    parts = {name: _parts(mine) for name, mine in problems.items()}
    if len({key for mine in parts.values() for key in mine}) > _MOST:
        parts = {name: _merged(mine) for name, mine in parts.items()}
    places = defaultdict[Key, list[float]](list)
    for mine in parts.values():
        for place, key in enumerate(mine):
            places[key].append(place)
    keys = sorted(places, key=lambda key: (key[1], float(np.mean(places[key]))))
    room_s = _room_s(problems, at_once)
    stages = []
    for key in keys:
        there = {name: calls[key] for name, calls in parts.items() if key in calls}
        since_s = {name: _since_s(key, parts[name], room_s.get(name)) for name in there}
        late_s = [max(0.0, there[name][0].asked_s - at_s) for name, at_s in since_s.items() if at_s is not None]
        stages.append(_stage(key, list(there.values()), late_s))
    counts = {name: tuple(len(mine.get(key, ())) for key in keys) for name, mine in parts.items()}
    return PipelineStages(tuple(stages), counts)


def _parts(mine: Sequence[Attempt]) -> dict[Key, list[Attempt]]:
    """Return the calls of one problem by stage, in order; a stage that comes again is another one."""
    found: dict[Key, list[Attempt]] = {}
    seen: dict[str, int] = defaultdict(int)
    for stage, calls in groupby(mine, key=lambda each: (_apart(each) or ("", ""))[1]):
        found[stage, seen[stage]] = list(calls)
        seen[stage] += 1
    return found


def _merged(parts: Mapping[Key, list[Attempt]]) -> dict[Key, list[Attempt]]:
    """Return the calls of one problem by the name of the stage alone."""
    found: dict[Key, list[Attempt]] = {}
    for (name, _), calls in parts.items():
        found.setdefault((name, 0), []).extend(calls)
    return found


def _end_s(calls: Sequence[Attempt]) -> float:
    return max(each.ended_s for each in calls)


def _room_s(problems: Mapping[str, Sequence[Attempt]], at_once: int) -> dict[str, float]:
    """Return when there was room for each problem: when an earlier one was over. Of the first ones, nobody knows."""
    begins_s = {name: mine[0].asked_s for name, mine in problems.items()}
    ends_s = sorted(_end_s(mine) for mine in problems.values())
    order = sorted(begins_s, key=lambda name: begins_s[name])[at_once:]
    return {name: min(begins_s[name], end_s) for name, end_s in zip(order, ends_s, strict=False)}


def _since_s(key: Key, parts: Mapping[Key, Sequence[Attempt]], room_s: float | None) -> float | None:
    """Return when a stage of a problem could have begun: at the end of the one before. None: not known."""
    place = list(parts).index(key)
    return _end_s(list(parts.values())[place - 1]) if place else room_s


def _stage(key: Key, problems: Sequence[Sequence[Attempt]], late_s: Sequence[float]) -> PipelineStage:
    threads = max(map(_most, problems))
    pauses_s = [pause_s for calls in problems for pause_s in _pauses_s(calls, threads)]
    return PipelineStage(*key, problems[0][0].kind or "", threads, _represented(pauses_s), _represented(late_s))


def _most(calls: Sequence[Attempt]) -> int:
    """Return the most calls that were asked for, and not over, at once."""
    steps = sorted([(each.asked_s, 1) for each in calls] + [(each.ended_s, -1) for each in calls])
    return int(np.cumsum([step for _, step in steps]).max())


def _pauses_s(calls: Sequence[Attempt], threads: int) -> list[float]:
    """Return the seconds from an answer to the next call, of threads that nobody has named: first come, first."""
    ended_s = sorted(each.ended_s for each in calls)
    return [max(0.0, each.asked_s - end_s) for each, end_s in zip(calls[threads:], ended_s, strict=False)]


def _represented(values_s: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not values_s:
        return np.empty(0)
    values = np.array(values_s)
    return quantile_means(values, np.zeros(len(values), dtype=np.bool_), min(_VALUES, len(values)))
