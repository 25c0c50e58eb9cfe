"""Remote workers: problems that other processes judge, what goes there, what comes back, and how it is judged there.

A worker has a store of its own with one problem in it; the run's one store takes back what came of it. It must not know
how processes are started, nor how bytes travel.
"""

import io
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console

from balancer.judging.runner import Stopped
from balancer.pipeline.progress.progress import Progress, WorkerProgress
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import begin_with, part_of
from balancer.pipeline.round.rounds import judge_problem
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.running.setting_up import find_generators, runner_of, settings_of
from balancer.plugins.registry import Registry
from balancer.pool.pool import Pool
from balancer.problem import Problem
from balancer.program import Executor
from balancer.scratch import Scratch
from balancer.settings.config import Config

__all__ = ["Engine", "RemoteResult", "RemoteTask", "RemoteWorkers", "run_remote_task"]

_TELL_S = 0.5


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """What a worker is to judge.

    Attributes:
        problem: whole, with its data.
        allowed_s: see `Sample`.
        part: what is known of it already.
        began_s: when the run began, by the wall clock.
    """

    problem: Problem
    allowed_s: float | None
    part: bytes
    began_s: float


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """What came back: what is known of the problem by now, whether it is hungry, and whether it was stopped."""

    part: bytes
    hungry: bool
    stopped: bool


class RemoteWorkers(Protocol):
    """Workers elsewhere, while they are there.

    Attributes:
        pool: the one that all share, as this process has it.
        at_once: how many problems they judge at once.
    """

    pool: Pool
    at_once: int

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> RemoteResult | str:
        """Have a problem judged, and wait for it; return why not if its workers died, time and again."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """Return the counters of the pool, over all processes, as `PoolStats.to_dict`."""
        ...


class Engine(Protocol):
    """What brings workers up."""

    def open(self, config: Config) -> AbstractContextManager[RemoteWorkers]:
        """Bring them up for a run. Raises BalancerError."""
        ...


def run_remote_task(
    sent: RemoteTask,
    config: Config,
    registry: Registry,
    pool: Pool,
    executors: Mapping[str, Executor],
    tell: Callable[[WorkerProgress], bool],
) -> RemoteResult:
    """Judge a problem in this process, for a run that is elsewhere.

    Args:
        config: of the run.
        pool, executors: of this process.
        tell: is told now and then how far it is; returns whether to stop.
    """
    problem = sent.problem
    progress = _Told()
    began_s = time.monotonic() - max(0.0, time.time() - sent.began_s)
    with Scratch(prefix="balancer-away-") as scratch, Store(scratch.path / "part") as store:
        begin_with(store, sent.part)
        session = store.begin_session(config.pool.strategy, 0)
        runner = runner_of(pool, executors, config, store, session, progress.say, began_s)
        over = threading.Event()

        def keep_telling() -> None:
            while True:
                if tell(progress.take(problem.id)) and not runner.stopping:
                    runner.stop()
                if over.wait(_TELL_S):
                    return

        if tell(progress.take(problem.id)):  # it was to stop before it began
            return RemoteResult(part_of(store, problem.id, spans=True), False, True)
        telling = threading.Thread(target=keep_telling, name="balancer-away", daemon=True)
        telling.start()
        hungry = stopped = False
        try:
            generators = find_generators(config, registry)
            settings = settings_of(config)
            hungry = judge_problem(Sample(problem, generators, settings, runner, store, progress, sent.allowed_s))
        except Stopped:
            stopped = True
        finally:
            over.set()
            telling.join()
        tell(progress.take(problem.id))
        return RemoteResult(part_of(store, problem.id, spans=True), hungry, stopped)


class _Told(Progress):
    """Counts, and shows nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()), None)
        self._lines: list[str] = []
        self._told = 0

    def say(self, text: str) -> None:
        """Keep a line."""
        with self._lock:
            self._lines.append(text)

    def take(self, problem: str) -> WorkerProgress:
        """Return what has happened since the last time."""
        with self._lock:
            done, self._told = self._done - self._told, self._done
            lines, self._lines = tuple(self._lines), []
            return WorkerProgress(problem, done, self._ahead.get(problem), lines)

    def _show(self) -> None:
        pass
