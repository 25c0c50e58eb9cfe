"""The pipeline's shape: samples at once, stages in order, a pool of workers for each stage.

Workers take tasks, and a stage is over when its tasks are done; the bound that no schedule could beat is worked out
here as well. How a task gets its endpoint is for the discipline.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from simpy import Environment

from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Stage
from balancer_simulator.world.calendar import after
from balancer_simulator.world.sources import Submit, demand_of
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task, Worker

__all__ = ["BatchSource", "bound_of", "works_of"]

Works = list[list[Floats]]
"""Seconds of work of every task: samples x stages x tasks."""


def works_of(scenario: Scenario, batch: Batch, streams: Streams) -> Works:
    """Return the work of every task, drawn before anything happens, so that no strategy can change it."""
    return [
        [_stage_works(scenario, batch, stage, streams, sample, number) for number, stage in enumerate(batch.stages)]
        for sample in range(batch.samples)
    ]


def _stage_works(scenario: Scenario, batch: Batch, stage: Stage, streams: Streams, sample: int, number: int) -> Floats:
    rng = streams.numbers(Purpose.BATCH, sample, number)
    spread = 1 + batch.task_spread * (2 * rng.random() - 1)
    tasks = max(1, round(stage.tasks * spread))
    works = (stage.work or scenario.work).of(rng.random(tasks))
    slow = rng.random(tasks) < stage.straggler_share
    return np.where(slow, works * stage.straggler_factor, works)


def bound_of(scenario: Scenario, batch: Batch, works: Works) -> float | None:
    """Return seconds in which no schedule can do all tasks, faults and network left out.

    None if an endpoint has a `service` of its own: what its calls take is drawn when they are made.

    The largest of: all work at the rate of all slots; the longest sample by itself; the samples by themselves, as
    many at once as may be. A sample by itself: in each stage the longest task, or all of them over its workers.
    """
    if any(model.service for model in scenario.endpoints):
        return None
    fastest = max(model.speed for model in scenario.endpoints)
    alone = [
        sum(max(float(w.max()), float(w.sum()) / s.workers) for w, s in zip(stages, batch.stages, strict=True))
        / fastest
        for stages in works
    ]
    total = sum(float(w.sum()) for stages in works for w in stages)
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
    """A sample on its way: what is left of its stage, and how many of its workers are still at it."""

    number: int
    stage: int
    left: deque[float]
    busy: int


class BatchSource:
    """Takes the samples through their stages."""

    def __init__(self, env: Environment, scenario: Scenario, batch: Batch, works: Works, submit: Submit) -> None:
        self._env = env
        self._batch = batch
        self._works = works
        self._submit = submit
        self._demand = demand_of(scenario.requests.kinds[0])
        self._ahead = deque(range(batch.samples))
        self._of: dict[Worker, _Sample] = {}
        self._count = 0
        self._open = 0
        self.workers: list[Worker] = []
        self.finished = False

    def begin(self) -> None:
        """Begin as many samples as may be."""
        for _ in range(min(self._batch.samples_at_once, self._batch.samples)):
            self._begin_sample()

    def conclude(self, task: Task) -> None:
        """Let its worker go on."""
        if task.worker is None:
            return
        if self._env.now > task.arrived_s:
            self._work(task.worker)
        else:  # refused at once, as the next may be: an event, or a stage of such tasks is a chain of calls as long
            after(self._env, 0.0, self._work, task.worker)

    def _begin_sample(self) -> None:
        number = self._ahead.popleft()
        self._open += 1
        self._begin_stage(_Sample(number, 0, deque(self._works[number][0].tolist()), 0))

    def _begin_stage(self, sample: _Sample) -> None:
        stage = self._batch.stages[sample.stage]
        crew = [Worker(f"sample {sample.number + 1}: {stage.name}", index) for index in range(stage.workers)]
        self.workers += crew
        sample.busy = len(crew)
        self._of.update(dict.fromkeys(crew, sample))
        for worker in crew:
            self._work(worker)

    def _work(self, worker: Worker) -> None:
        sample = self._of[worker]
        if sample.left:
            self._count += 1
            self._submit(Task(self._env, self._count, sample.left.popleft(), self._demand, worker, self._env.now))
            return
        del self._of[worker]
        sample.busy -= 1
        if not sample.busy:
            self._end_stage(sample)

    def _end_stage(self, sample: _Sample) -> None:
        sample.stage += 1
        if sample.stage < len(self._batch.stages):
            sample.left.extend(self._works[sample.number][sample.stage].tolist())
            self._begin_stage(sample)
            return
        self._open -= 1
        if self._ahead:
            self._begin_sample()
        self.finished = not self._open
