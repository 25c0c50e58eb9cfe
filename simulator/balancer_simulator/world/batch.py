"""Batch workloads: samples in stages, workers for each stage, and the bound that no schedule beats.

Workers take tasks, and a stage is over when its tasks are done. The discipline gets an endpoint for a task.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from simpy import Environment

from balancer_simulator.scenario.distributions import Distribution, Floats
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Kind, Stage
from balancer_simulator.world.calendar import after
from balancer_simulator.world.sources import Submit, TaskSource, demand_of, drawn_once, durations, kind_numbers
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task, Worker

__all__ = ["BatchSource", "bound_of", "works_of"]

Kinds = NDArray[np.intp]
"""The place of each task's kind in `requests.kinds`."""

Works = list[list[tuple[Floats, Kinds]]]
"""Seconds of work and kind of every task: samples x stages x tasks."""


def works_of(scenario: Scenario, workload: Batch, streams: Streams) -> Works:
    """Return work and kind of every task, drawn before the run, so that no strategy can change them."""
    return [
        [_stage_of(scenario, workload, stage, streams, sample, number) for number, stage in enumerate(workload.stages)]
        for sample in range(workload.samples)
    ]


def _stage_of(
    scenario: Scenario, batch: Batch, stage: Stage, streams: Streams, sample: int, number: int
) -> tuple[Floats, Kinds]:
    rng = streams.numbers(Purpose.BATCH, sample, number)
    tasks = batch.counts[sample][number] if batch.counts else stage.tasks
    kinds = _kinds_of(scenario, stage, streams, tasks, sample, number)
    uniform = rng.random(tasks)
    works = np.empty(tasks)
    for place, kind in enumerate(scenario.requests.kinds):
        of_kind = kinds == place
        works[of_kind] = _work(scenario, stage, kind).of(uniform[of_kind])
    return works, kinds


def _kinds_of(scenario: Scenario, stage: Stage, streams: Streams, tasks: int, sample: int, number: int) -> Kinds:
    kinds = scenario.requests.kinds
    if stage.kind is not None:
        return np.full(tasks, [kind.name for kind in kinds].index(stage.kind), dtype=np.intp)
    drawn = kind_numbers(kinds, streams.numbers(Purpose.KINDS, sample, number), tasks)
    return np.fromiter(islice(drawn, tasks), dtype=np.intp, count=tasks)


def _work(scenario: Scenario, stage: Stage, kind: Kind) -> Distribution:
    return stage.work or kind.work or scenario.work


def bound_of(scenario: Scenario, batch: Batch, works: Works) -> float | None:
    """Return seconds in which no schedule can do all tasks, without faults and network.

    None if an endpoint has a `service` of its own, because the duration of its calls is drawn when they are made.

    The largest of: all work at the rate of all slots; the longest sample alone; the samples alone, `samples_at_once` at
    once. A sample alone: in each stage the longest task, or all tasks over its workers.
    """
    if any(model.service or model.services for model in scenario.endpoints):
        return None
    fastest = max(model.speed for model in scenario.endpoints)
    alone = [
        sum(
            max(float(w.max()), float(w.sum()) / stage.workers)
            for (w, _), stage in zip(stages, batch.stages, strict=True)
            if len(w)
        )
        / fastest
        for stages in works
    ]
    total = sum(float(w.sum()) for stages in works for w, _ in stages)
    return max(total / _rate(scenario), max(alone), sum(alone) / batch.samples_at_once)


def _rate(scenario: Scenario) -> float:
    """Return the work that all endpoints do in a second; a host does no more than its cores allow."""
    by_host: dict[str | None, float] = {}
    fastest: dict[str | None, float] = {}
    leases = scenario.most_leases
    for url, model in scenario.by_url.items():
        host = model.endpoint(url).host
        slots = min(leases[url], model.parallel or leases[url])
        by_host[host] = by_host.get(host, 0.0) + slots * model.speed
        fastest[host] = max(fastest.get(host, 0.0), model.speed)
    cores = {host: limit.cores * fastest[host] for host, limit in scenario.hosts.items()}
    return sum(min(rate, cores.get(host or "", rate)) for host, rate in by_host.items())


@dataclass(slots=True)
class _Sample:
    """A sample under way: the rest of its stage, and the number of its active workers."""

    number: int
    stage: int
    left: deque[tuple[float, int]]
    busy: int


class BatchSource(TaskSource):
    """Takes the samples through their stages."""

    def __init__(
        self,
        env: Environment,
        scenario: Scenario,
        batch: Batch,
        streams: Streams,
        submit: Submit,
    ) -> None:
        super().__init__(env, submit)
        self._batch = batch
        self._works = works_of(scenario, batch, streams)
        self.bound_s = bound_of(scenario, batch, self._works)
        self._streams = streams
        self._demands = [list(map(demand_of, scenario.requests.kinds)) for _ in batch.stages]
        self._thinks: dict[Worker, Iterator[float]] = {}
        self._ahead = deque(range(batch.samples))
        self._of: dict[Worker, _Sample] = {}
        self._open = 0

    def begin(self) -> None:
        """Begin as many samples as allowed."""
        for _ in range(min(self._batch.samples_at_once, self._batch.samples)):
            self._begin_sample()

    def conclude(self, task: Task) -> None:
        """Let the worker of `task` continue."""
        if task.worker is None:
            return
        if task.worker in self._thinks:
            self._think(task.worker)
        elif self._env.now > task.arrived_s:
            self._work(task.worker)
        else:  # refused at once, as the next may be: an event, or a stage of such tasks would be a long chain of calls
            after(self._env, 0.0, self._work, task.worker)

    def _begin_sample(self) -> None:
        number = self._ahead.popleft()
        self._open += 1
        self._prepare_stage(_Sample(number, 0, deque(self._tasks(number, 0)), 0))

    def _tasks(self, number: int, stage: int) -> Iterator[tuple[float, int]]:
        """Yield work and kind of the tasks of a stage of a sample."""
        works, kinds = self._works[number][stage]
        return zip(works.tolist(), kinds.tolist(), strict=True)

    def _prepare_stage(self, sample: _Sample) -> None:
        """Begin the next stage that has tasks, when it is time, or end the sample."""
        while not sample.left and sample.stage + 1 < len(self._batch.stages):
            sample.stage += 1
            sample.left.extend(self._tasks(sample.number, sample.stage))
        late = self._batch.stages[sample.stage].late
        if late is None or not sample.left:
            self._begin_stage(sample)
        else:
            late_s = drawn_once(late, self._streams.numbers(Purpose.LATE, sample.number, sample.stage))
            after(self._env, late_s, self._begin_stage, sample)

    def _begin_stage(self, sample: _Sample) -> None:
        stage = self._batch.stages[sample.stage]
        workers = [Worker(f"sample {sample.number + 1}: {stage.name}", index) for index in range(stage.workers)]
        self.workers += workers
        sample.busy = len(workers)
        self._of.update(dict.fromkeys(workers, sample))
        for worker in workers:
            if stage.think is None:
                self._work(worker)
                continue
            rng = self._streams.numbers(Purpose.THINK, sample.number, sample.stage, worker.index)
            self._thinks[worker] = durations(stage.think, rng, 16)
            self._think(worker)

    def _think(self, worker: Worker) -> None:
        """Let a worker think before its next task; without one it ends."""
        if self._of[worker].left:
            after(self._env, next(self._thinks[worker]), self._work, worker)
        else:
            self._work(worker)

    def _work(self, worker: Worker) -> None:
        sample = self._of[worker]
        if sample.left:
            work_s, kind = sample.left.popleft()
            self._come(self._demands[sample.stage][kind], work_s, worker)
            return
        del self._of[worker]
        self._thinks.pop(worker, None)
        sample.busy -= 1
        if not sample.busy:
            self._end_stage(sample)

    def _end_stage(self, sample: _Sample) -> None:
        sample.stage += 1
        if sample.stage < len(self._batch.stages):
            sample.left.extend(self._tasks(sample.number, sample.stage))
            self._prepare_stage(sample)
            return
        self._open -= 1
        if self._ahead:
            self._begin_sample()
        self.finished = not self._open
