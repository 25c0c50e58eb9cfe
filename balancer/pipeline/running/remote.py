"""Remote workers: judge problems in other processes.

A worker has its own store with one problem. The run's store takes back the result.
"""

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console

from balancer.judging.runner import Runner, Stopped
from balancer.judging.trust import Trust
from balancer.opening.pool import Pool
from balancer.pipeline.progress import Progress, WorkerProgress
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import begin_with, part_of, take_back
from balancer.pipeline.running.setting_up import SessionRecord, find_generators, judge_here, open_runner, settings_of
from balancer.pipeline.running.turns import WorkersLost
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.scratch import Scratch
from balancer.settings.config import Config

__all__ = ["RemoteEngine", "RemoteResult", "RemoteTask", "RemoteWorkers", "judge_elsewhere", "run_remote_task"]

_TELL_S = 0.5


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A problem for a worker.

    Attributes:
        problem: with its data.
        part: what the run's store already knows of it.
    """

    problem: Problem
    part: bytes


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """A worker's result.

    Attributes:
        part: what its store knows of the problem. Times of leases are in seconds since the worker took the problem.
        took_s: seconds since then. The run's process places them in its own time: clocks of machines may differ.
        stopped: whether it was stopped.
    """

    part: bytes
    took_s: float
    stopped: bool


class RemoteWorkers(Protocol):
    """Workers in other processes.

    Attributes:
        pool: the shared pool, as this process uses it.
        at_once: problems that they judge at once.
    """

    pool: Pool
    at_once: int

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> RemoteResult | str:
        """Have a problem judged, and wait for the result. Return the reason as text if its workers died repeatedly."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """Return the counters of the pool, over all processes, as `PoolStats.to_dict` does."""
        ...


RemoteEngine = Callable[[Config], AbstractContextManager[RemoteWorkers]]
"""Starts the workers for a run. Raises BalancerError."""


def judge_elsewhere(
    workers: RemoteWorkers, record: SessionRecord, progress: Progress, runner: Runner, problem: Problem
) -> None:
    """Have a problem judged by other processes, and take back the result.

    Args:
        workers: the processes.
        record: of the session. Its store has all problems.
        progress: receives the progress of the workers.
        runner: of this process. It runs nothing, and tells whether to stop.
        problem: with its data.
    """
    store = record.store
    sent = RemoteTask(problem, part_of(store, problem.id))
    sent_s = time.monotonic() - record.began_s
    came = workers.judge(sent, progress.hear, lambda: runner.stopping)
    if isinstance(came, str):
        raise WorkersLost(came)
    taken_s = max(sent_s, time.monotonic() - record.began_s - came.took_s)
    take_back(store, problem.id, came.part, record.session, taken_s)
    if came.stopped:
        raise Stopped
    progress.finish(problem.id)


def run_remote_task(
    sent: RemoteTask,
    config: Config,
    registry: Registry,
    pool: Pool,
    executors: Mapping[str, Executor],
    tell: Callable[[WorkerProgress], bool],
    trust: Trust,
) -> RemoteResult:
    """Judge a problem in this process, for a run in another one.

    Args:
        sent: the problem.
        config: of the run.
        registry: the plugins.
        pool, executors: of this process.
        tell: is called regularly with the progress; returns whether to stop.
        trust: what this process knows of the endpoints from other problems.
    """
    problem = sent.problem.id
    progress = _ToldProgress()
    began_s = time.monotonic()

    def came(*, stopped: bool) -> RemoteResult:
        return RemoteResult(part_of(store, problem, whole=True), time.monotonic() - began_s, stopped)

    with Scratch(prefix="balancer-away-") as scratch, Store(scratch.path / "part") as store:
        begin_with(store, sent.part)
        if tell(progress.take(problem)):  # the run was stopped before the problem began
            return came(stopped=True)
        record = SessionRecord(store, store.begin_session(config.pool.strategy, 0), progress.say, began_s)
        settings = settings_of(config)
        runner = open_runner(pool, executors, settings, config.verify, record, trust)
        stopped = False
        try:
            with _telling(lambda: tell(progress.take(problem)), runner):
                judge_here(find_generators(config, registry), settings, runner, store, progress, sent.problem)
        except Stopped:
            stopped = True
        tell(progress.take(problem))
        return came(stopped=stopped)


@contextmanager
def _telling(tell: Callable[[], bool], runner: Runner) -> Iterator[None]:
    """Call `tell` regularly during a `with` block. Stop `runner` when it returns True."""
    over = threading.Event()

    def go_on() -> None:
        while True:
            if tell() and not runner.stopping:
                runner.stop()
            if over.wait(_TELL_S):
                return

    thread = threading.Thread(target=go_on, name="balancer-away", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _ToldProgress(Progress):
    """Counts, and shows nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()), None)
        self._lines: list[str] = []
        self._told = 0

    def say(self, text: str) -> None:
        with self._lock:
            self._lines.append(text)

    def take(self, problem: str) -> WorkerProgress:
        """Return the progress since the last call."""
        with self._lock:
            done, self._told = self._done - self._told, self._done
            lines, self._lines = tuple(self._lines), []
            at_work = self._of(problem)
            return WorkerProgress(problem, done, at_work.ahead, lines, at_work.doing)
