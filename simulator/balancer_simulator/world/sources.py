"""Task sources of open and closed workloads: when a task comes, its work and its kind."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Final

import numpy as np
from simpy import Environment, Event, Timeout

from balancer.endpoint import LeaseTerms
from balancer.strategy import ANY, Request
from balancer_simulator.scenario.distributions import Distribution, Floats
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Arrivals, Closed, Kind, OnOff, Open, Poisson
from balancer_simulator.world.calendar import after
from balancer_simulator.world.streams import Purpose, Streams, endless
from balancer_simulator.world.task import Demand, Task, Worker

__all__ = [
    "ClosedSource",
    "OpenSource",
    "Submit",
    "TaskSource",
    "demand_of",
    "drawn_once",
    "durations",
    "kind_numbers",
    "mixture",
    "numbers_of",
]

# How long a worker pauses, at least, after a request that was over at once, e.g. refused: it costs a caller some
# time too. Without it, a worker that does not think would ask for ever at one instant.
_RECOIL_S: Final = 0.001

Submit = Callable[[Task], None]
"""Takes a task that has just come."""


class TaskSource:
    """Makes the tasks of a run.

    Attributes:
        bound_s: of a batch: a time that no schedule can beat; else None.
        finished: whether all tasks have come.
        workers: of the workload, if any.
    """

    def __init__(self, env: Environment, submit: Submit) -> None:
        self._env = env
        self._submit = submit
        self._count = 0
        self.bound_s: float | None = None
        self.finished = False
        self.workers: list[Worker] = []

    def begin(self) -> None:
        """Make or schedule the first tasks."""
        raise NotImplementedError

    def conclude(self, task: Task) -> None:
        """Handle the end of `task`: a success, or a loss. Of open arrivals no caller waits for it."""

    def _come(self, demand: Demand, work_s: float, worker: Worker | None = None) -> None:
        """Make a task, which comes now."""
        self._count += 1
        submit, now = self._submit, self._env.now
        submit(Task(self._count, work_s, demand, worker, now, now, demand.request))


def durations(distribution: Distribution, rng: np.random.Generator, block: int = 4096) -> Iterator[float]:
    """Yield seconds of `distribution`, for ever."""
    return endless(lambda count: distribution.of(rng.random(count)), block)


def demand_of(kind: Kind) -> Demand:
    """Return a kind of request, ready for use."""
    request = ANY
    if kind.labels or kind.slots > 1 or kind.tokens is not None or kind.holder:
        terms = LeaseTerms(kind.holder) if kind.holder else None
        request = Request(frozenset(kind.labels), slots=kind.slots, terms=terms, tokens=kind.tokens)
    return Demand(kind.name, request, kind.priority, kind.acquire_timeout_s or math.inf, kind.used_tokens)


def drawn_once(distribution: Distribution, rng: np.random.Generator) -> float:
    """Return one duration, in seconds."""
    return float(distribution.of(rng.random(1))[0])


def mixture(
    scenario: Scenario, streams: Streams, *which: int, block: int = 4096, recorded: Sequence[int] = ()
) -> Iterator[tuple[Demand, float]]:
    """Yield the kind and the work of each task, for ever or as long as kinds are recorded.

    Args:
        scenario: has the kinds, their shares and their work.
        streams: of the replication.
        which: makes the streams of several workers differ.
        block: numbers drawn at once.
        recorded: index of each task's kind; none: they are drawn by their shares.
    """
    kinds = scenario.requests.kinds
    pairs = [
        zip(
            repeat(demand_of(kind)),
            durations(kind.work or scenario.work, streams.numbers(Purpose.WORK, *which, number), block),
            strict=False,
        )
        for number, kind in enumerate(kinds)
    ]
    if recorded:
        return (next(pairs[number]) for number in recorded)
    if len(pairs) == 1:
        return pairs[0]
    numbers = kind_numbers(kinds, streams.numbers(Purpose.KINDS, *which), block)
    return (next(pairs[int(number)]) for number in numbers)


def kind_numbers(kinds: Sequence[Kind], rng: np.random.Generator, block: int) -> Iterator[float]:
    """Yield indices of kinds, drawn by their shares, for ever."""
    shares = [kind.share for kind in kinds]
    edges = np.cumsum(shares) / sum(shares)

    def draw(count: int) -> Floats:
        return np.minimum(np.searchsorted(edges, rng.random(count), side="right"), len(shares) - 1).astype(float)

    return endless(draw, block)


class OpenSource(TaskSource):
    """Tasks come without regard to earlier ones."""

    def __init__(self, env: Environment, scenario: Scenario, workload: Open, streams: Streams, submit: Submit) -> None:
        super().__init__(env, submit)
        self._gaps_s = _gaps_of(workload, streams)
        recorded = workload.kinds if isinstance(workload, Arrivals) else []
        self._mixture = mixture(scenario, streams, recorded=recorded)
        if isinstance(workload, Arrivals) and workload.work_s:
            self._mixture = ((demand, w) for w, (demand, _) in zip(workload.work_s, self._mixture, strict=False))
        if isinstance(workload, Arrivals) and (workload.prompts or workload.sessions):
            self._mixture = _recorded(workload, self._mixture)

    def begin(self) -> None:
        """Schedule the next arrival, if there is one."""
        gap_s = next(self._gaps_s, None)
        if gap_s is None:
            self.finished = True
        else:
            Timeout(self._env, gap_s).callbacks.append(self._arrive)

    def _arrive(self, _: Event) -> None:
        demand, work_s = next(self._mixture)
        self.begin()
        self._come(demand, work_s)


class ClosedSource(TaskSource):
    """Each worker thinks, asks, waits for the answer, and begins again."""

    def __init__(
        self, env: Environment, scenario: Scenario, workload: Closed, streams: Streams, submit: Submit
    ) -> None:
        super().__init__(env, submit)
        self._most = workload.calls
        self._under_way = 0
        self.workers = [Worker("workers", index) for index in range(workload.workers)]
        # A stream for each worker: its n-th task is the same under every strategy. Few numbers at once: there may be
        # thousands of workers.
        self._mixtures = [mixture(scenario, streams, index, block=64) for index in range(workload.workers)]
        self._thinks = [
            durations(workload.think, streams.numbers(Purpose.THINK, index), 64) for index in range(workload.workers)
        ]

    def begin(self) -> None:
        """Let every worker think."""
        for worker in self.workers:
            self._think(worker)

    def conclude(self, task: Task) -> None:
        """Let its worker think before the next task, if there is one."""
        self._under_way -= 1
        if self._count == self._most:
            self.finished = not self._under_way
            return
        if task.worker is not None:
            self._think(task.worker, least_s=0.0 if self._env.now > task.arrived_s else _RECOIL_S)

    def _think(self, worker: Worker, *, least_s: float = 0.0) -> None:
        # Even without a pause it is an event: otherwise a chain of calls that fail at once would never return.
        after(self._env, max(least_s, next(self._thinks[worker.index])), self._ask, worker)

    def _ask(self, worker: Worker) -> None:
        if self._count == self._most:
            return  # the last request was made while it was thinking
        demand, work_s = next(self._mixtures[worker.index])
        self._under_way += 1
        self._come(demand, work_s, worker)


def _gaps_of(workload: Open, streams: Streams) -> Iterator[float]:
    """Yield the seconds between arrivals, the first from 0; ends with the workload."""
    match workload:
        case Poisson(rate_per_s=rate):
            rng = streams.numbers(Purpose.ARRIVALS)
            return endless(lambda count: rng.exponential(1 / rate, count))
        case OnOff():
            return _bursts(workload, streams)
        case Arrivals(at_s=at_s):
            return (later - earlier for earlier, later in zip([0.0, *at_s], at_s, strict=False))


def _recorded(workload: Arrivals, mixture: Iterator[tuple[Demand, float]]) -> Iterator[tuple[Demand, float]]:
    """Yield kind and work of each task, with its prompt and its session."""
    prompts, sessions = workload.prompts or repeat(""), workload.sessions or repeat("")
    for prompt, session, (demand, work_s) in zip(prompts, sessions, mixture, strict=False):
        yield replace(demand, prompt=prompt, session=session), work_s


def numbers_of(mean: float, rng: np.random.Generator) -> Iterator[int]:
    """Yield whole numbers, at least 1, that are geometric, for ever."""
    return map(int, endless(lambda count: rng.geometric(1 / mean, count).astype(float)))


def _bursts(workload: OnOff, streams: Streams) -> Iterator[float]:
    """Yield Poisson gaps in each state. If a state ends before the next arrival, the wait starts anew (it is
    memoryless).
    """
    lengths, arrivals = (streams.numbers(Purpose.ARRIVALS, which) for which in (0, 1))
    units = endless(lambda count: arrivals.exponential(1.0, count))
    gap_s = 0.0
    while True:
        for rate, mean_s in ((workload.on_rate_per_s, workload.on_s), (workload.off_rate_per_s, workload.off_s)):
            left_s = float(lengths.exponential(mean_s))
            while (step_s := next(units) / rate if rate else math.inf) < left_s:
                yield gap_s + step_s
                left_s -= step_s
                gap_s = 0.0
            gap_s += left_s
