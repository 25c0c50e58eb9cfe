"""`Judge`: judges programs on cases, and runs programs for their output, for threads and tasks.

A shell: carries out the runs of `procedure` and `executed`. Decides which arguments are valid, how many programs run at
once, and which resources the judge owns and closes. It does not close a pool that it was given.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from balancer.endpoint import Endpoint
from balancer.errors import PoolClosed
from balancer.judge.batches import in_tasks, in_threads
from balancer.judge.executed import Executed, ExecuteJob, execute_job
from balancer.judge.extract import NO_PROGRAM, program_in, why_none
from balancer.judge.judged import Job, Judged
from balancer.judge.procedure import JudgingRules, checker_of, judge_job, limits_for, until
from balancer.judging.cases import AnyCase, cases_in
from balancer.judging.executors import LiveExecutors, executor_maker, make_executors
from balancer.judging.pending import PendingRuns, RunnerOptions, Stopped
from balancer.judging.runner import Runner
from balancer.judging.task_runner import TaskRunner
from balancer.opening.aio import TaskPool
from balancer.opening.pool import Pool
from balancer.plugins.registry import Registry, default_registry
from balancer.problem import Checker
from balancer.program import Executor, Limits, Program
from balancer.sandbox.probes import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config, load_config, on_one_machine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.prober import Prober
from balancer.values.headers import secrets_of
from balancer.values.numbers import checked, whole
from balancer.values.redaction import Redaction

__all__ = ["Judge", "JudgeResources"]

T = TypeVar("T")

_MOST_AT_ONCE = 256
_LIMIT_S = 10.0
_CLOSED = (
    "this Judge is closed and judges no more programs; make another one (a pool that you passed to it is still open)"
)
_MOST_RUNS = 1000  # threads for the runs of tasks; in use are as many as there are leased slots


class Judge:
    """Judges programs on the endpoints of a pool. Others may use the pool too. Thread-safe.

    A fault of an endpoint never becomes a verdict on a program. A failed run is made on another endpoint. A time limit
    that a busy server may have caused is run again. A program that cannot be judged is unjudged and has no score.

    Args:
        source: a pool, a config, or the path of a config. From a config the judge makes a pool of its own.
        checker: compares outputs: a `Checker`, or an output validator as a `Program`. None: token by token.
        limits: of each run; a number is CPU seconds.
        stop_at_first: whether to stop at the first case that is not accepted.
        at_once: programs judged at once in `run_many`. None: twice the number of slots, at most 256.
        attempts: tries of a run before it counts as unjudged; at least one on each endpoint.
        outage_s: seconds for which runs are tried beyond `attempts`, while no run at all succeeds.
        labels: that an endpoint must have.
        priority, holder: of its leases; see `Pool.acquire`.
        quiet_label: endpoints with this label are preferred for reruns of suspect time limits.
        cache_dir: folder for programs compiled on this machine. None: a temporary folder, deleted when the judge
            closes.
        executors: run the programs, by name of the endpoint; closed with the judge. None: chosen by the scheme of each
            URL.
        registry: the plugins; None: all that are installed.

    Attributes:
        pool: the pool in use.

    Raises:
        ConfigError: the config cannot be used, or an endpoint has no executor.
        TypeError, ValueError: an argument has a wrong type or value.
        MissingExtra: a package that an executor needs is not installed.
    """

    def __init__(
        self,
        source: "Pool | TaskPool | Config | str | PathLike[str]",
        *,
        checker: Checker | Program | None = None,
        limits: Limits | float = _LIMIT_S,
        stop_at_first: bool = True,
        at_once: int | None = None,
        attempts: int = 5,
        outage_s: float = 60.0,
        labels: Iterable[str] = (),
        priority: int = 0,
        holder: str = "judge",
        quiet_label: str = "quiet",
        cache_dir: str | PathLike[str] | None = None,
        executors: Mapping[str, Executor] | None = None,
        registry: Registry | None = None,
    ) -> None:
        _check(source, labels, stop_at_first, outage_s, executors)
        self._rules = JudgingRules(checker_of(checker), limits_for(limits), stop_at_first)
        self._at_once = None if at_once is None else checked("at_once", at_once, whole)
        self._labels = frozenset(labels)
        options = RunnerOptions(
            attempts=checked("attempts", attempts, whole),
            quiet_label=quiet_label,
            outage_s=outage_s,
            asked=LeaseRequest(labels=self._labels, priority=priority, holder=holder),
        )
        self._resources = JudgeResources(source, options, executors=executors, registry=registry, cache_dir=cache_dir)
        self.pool = self._resources.pool
        self._runner = self._resources.runner

    # -- one program ---------------------------------------------------------------------------------

    def run(
        self,
        program: Program | str | None,
        cases: Iterable[AnyCase],
        *,
        checker: Checker | Program | None = None,
        limits: Limits | float | None = None,
        stop_at_first: bool | None = None,
    ) -> Judged:
        """Judge `program` on `cases`, one after the other, and return the result.

        Args:
            program: a program, or the text of a model with a program in Python; None if the model wrote none.
            cases: `StdinCase`, `CallCase`, or pairs of input and output.
            checker, limits, stop_at_first: as for the class. None: as set for the judge.

        Raises:
            PoolClosed: the judge or its pool is closed.
            ValueError, TypeError: a case cannot be run, or an argument is not valid.
        """
        return self.run_job(_job(program, cases, checker, limits, stop_at_first))

    def run_job(self, job: Job) -> Judged:
        """Judge one job, as `run` does."""
        return self._follow(self._start(job))

    async def arun(
        self,
        program: Program | str | None,
        cases: Iterable[AnyCase],
        *,
        checker: Checker | Program | None = None,
        limits: Limits | float | None = None,
        stop_at_first: bool | None = None,
    ) -> Judged:
        """Judge in a task, as `run` does in a thread. If cancelled, it does not wait for a run that is under way."""
        return await self.arun_job(_job(program, cases, checker, limits, stop_at_first))

    async def arun_job(self, job: Job) -> Judged:
        """Judge one job in a task, as `arun` does."""
        return await self._follow_in_task(self._start(job))

    # -- many ----------------------------------------------------------------------------------------

    def run_many(self, jobs: Iterable[Job], *, ordered: bool = True, at_once: int | None = None) -> Iterator[Judged]:
        """Judge `jobs`, and yield the result of each.

        At most four times `at_once` jobs are in memory, including results that are not read yet. If the caller stops
        reading, no further run starts. Closing the generator waits for the runs under way.

        Args:
            jobs: a list or a generator, which is read in the caller's thread.
            ordered: True: results in the order of the jobs. False: as they end; `Judged.number` is the job's number.
            at_once: as for the class.

        Raises:
            ValueError: a job cannot be judged because of the caller's mistake.
            PoolClosed, TypeError: as for `run`.
        """
        _check_jobs(jobs, "Jobs")
        yield from in_threads(jobs, self._start, self._follow, self._workers(at_once), ordered=ordered)

    async def arun_many(
        self, jobs: Iterable[Job] | AsyncIterable[Job], *, ordered: bool = True, at_once: int | None = None
    ) -> AsyncIterator[Judged]:
        """Judge in tasks of asyncio, as `run_many` does in threads. To stop early, close the generator (`aclosing`)."""
        _check_jobs(jobs, "Jobs")
        batch = in_tasks(jobs, self._start, self._follow_in_task, self._workers(at_once), ordered=ordered)
        async with aclosing(batch) as found:
            async for judged in found:
                yield judged

    @property
    def languages(self) -> frozenset[str]:
        """The languages that the endpoints run, together. Asks those that were not asked yet, and waits for them."""
        return self._runner.languages

    # -- what a program prints -----------------------------------------------------------------------

    def execute(
        self,
        program: Program | str,
        stdin: str | bytes = b"",
        *,
        files: Mapping[str, str | bytes] | None = None,
        limits: Limits | float | None = None,
    ) -> Executed:
        """Run `program` once and return what it printed and how it ended; no verdict. For tools of agents.

        It is run again elsewhere if an endpoint fails, or may be the cause of a time limit, as in `run`.

        Args:
            program: a program, or the source of one in Python: for what a model wrote around it, see `program_in`.
            stdin: its standard input: text or bytes.
            files: in its working directory, text or bytes by name.
            limits: of the run; a number is CPU seconds. None: the judge's.

        Raises:
            NotExecuted: the infrastructure failed; nothing is known about the program.
            PoolClosed, TypeError, ValueError: as for `run`.
        """
        return self.execute_job(ExecuteJob(program, stdin, files or {}, limits))

    def execute_job(self, job: ExecuteJob) -> Executed:
        """Run the program of one job, as `execute` does."""
        return self._ran(self._follow(self._start_execution(job)))

    async def aexecute(
        self,
        program: Program | str,
        stdin: str | bytes = b"",
        *,
        files: Mapping[str, str | bytes] | None = None,
        limits: Limits | float | None = None,
    ) -> Executed:
        """Run in a task, as `execute` in a thread. If cancelled, it does not wait for a run that is under way."""
        return await self.aexecute_job(ExecuteJob(program, stdin, files or {}, limits))

    async def aexecute_job(self, job: ExecuteJob) -> Executed:
        """Run the program of one job in a task, as `aexecute` does."""
        return self._ran(await self._follow_in_task(self._start_execution(job)))

    def execute_many(
        self, jobs: Iterable[ExecuteJob], *, ordered: bool = True, at_once: int | None = None
    ) -> Iterator[Executed]:
        """Run the programs of `jobs`, and yield the result of each; arguments and errors as for `run_many`.

        One that the infrastructure could not run has `error`, and its other properties raise it.
        """
        _check_jobs(jobs, "ExecuteJobs")
        yield from in_threads(jobs, self._start_execution, self._follow, self._workers(at_once), ordered=ordered)

    async def aexecute_many(
        self,
        jobs: Iterable[ExecuteJob] | AsyncIterable[ExecuteJob],
        *,
        ordered: bool = True,
        at_once: int | None = None,
    ) -> AsyncGenerator[Executed, None]:
        """Run in tasks of asyncio, as `execute_many` in threads. To stop early, close the generator (`aclosing`)."""
        _check_jobs(jobs, "ExecuteJobs")
        start, workers = self._start_execution, self._workers(at_once)
        async with aclosing(in_tasks(jobs, start, self._follow_in_task, workers, ordered=ordered)) as found:
            async for executed in found:
                yield executed

    # -- inside --------------------------------------------------------------------------------------

    def _start(self, job: Job, number: int = 0, gone: Callable[[], bool] = lambda: False) -> PendingRuns[Judged]:
        if not isinstance(job, Job):
            raise TypeError(f"found {type(job).__name__}; a job is a Job(program, cases), or Job.of(completion, tests)")
        return self._until(gone, judge_job(self._runner.reruns, job, self._rules.of(job), self._redact, number))

    def _start_execution(
        self, job: ExecuteJob, number: int = 0, gone: Callable[[], bool] = lambda: False
    ) -> PendingRuns[Executed]:
        if not isinstance(job, ExecuteJob):
            raise TypeError(f"found {type(job).__name__}; a job is an ExecuteJob(program, stdin)")
        return self._until(gone, execute_job(self._runner.reruns, job, self._rules.limits, self._redact, number))

    def _until(self, gone: Callable[[], bool], pending_runs: PendingRuns[T]) -> PendingRuns[T]:
        stopping = self._runner.attempts.stopping
        if stopping.is_set():
            raise self._ended()
        return until(lambda: gone() or stopping.is_set(), pending_runs)

    def _follow(self, pending_runs: PendingRuns[T]) -> T:
        try:
            return self._runner.follow(pending_runs)
        except Stopped:
            raise self._ended() from None

    async def _follow_in_task(self, pending_runs: PendingRuns[T]) -> T:
        try:
            return await self._resources.tasks.follow(pending_runs)
        except Stopped:
            raise self._ended() from None

    def _ended(self) -> PoolClosed:
        """Return the error of a stopped run: the judge is closed, or else its pool."""
        return PoolClosed(_CLOSED) if self._runner.attempts.stopping.is_set() else PoolClosed()

    @staticmethod
    def _ran(executed: Executed) -> Executed:
        if executed.error is not None:
            raise executed.error
        return executed

    def _redact(self, note: str) -> str:
        """Return `note` without secrets from endpoint headers. A plugin's executor may not remove them."""
        secrets = {secret for each in self.pool.endpoints() for secret in secrets_of(each.headers)}
        return Redaction.of((secret, "***") for secret in secrets)(note) if secrets else note

    def _workers(self, at_once: int | None) -> int:
        if at_once is not None:
            return checked("at_once", at_once, whole)
        if self._at_once is not None:
            return self._at_once
        slots = sum(each.capacity for each in self.pool.endpoints() if self._labels <= each.labels)
        return max(2, min(2 * slots, _MOST_AT_ONCE))

    def close(self) -> None:
        """Start no more programs, wait for those that run, and free the judge's own resources.

        A pool that was passed in stays open. A second call does nothing.
        """
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"<Judge on {self.pool!r}>"


def _job(
    program: Program | str | None,
    cases: Iterable[AnyCase],
    checker: Checker | Program | None,
    limits: Limits | float | None,
    stop_at_first: bool | None,
) -> Job:
    without = NO_PROGRAM
    if isinstance(program, str):
        without, program = why_none(program), program_in(program)
    elif program is not None and not isinstance(program, Program):
        kind = type(program).__name__
        raise TypeError(f"program is a {kind}; it takes a Program, the text of a model, or None for no text")
    return Job(program, cases_in(cases), checker, limits, stop_at_first, without=without)


def _check(source: object, labels: object, stop_at_first: object, outage_s: object, executors: object) -> None:
    """Raise TypeError or ValueError for an argument that is not valid."""
    if not isinstance(source, Pool | TaskPool | Config | str | PathLike):
        also = ": Judge(Pool([...]))" if isinstance(source, list | tuple | Endpoint) else ""
        raise TypeError(f"source is a {type(source).__name__}; a Judge takes a Pool{also}, a config or the path of one")
    if isinstance(source, str) and "://" in source:
        raise ValueError("source is a URL; a Judge takes a Pool, Judge(Pool([URL])), a config or the path of one")
    if isinstance(labels, str):
        raise TypeError(f"labels is {labels!r}; it takes a collection of labels, e.g. {{{labels!r}}}")
    if not isinstance(stop_at_first, bool):
        raise TypeError(f"stop_at_first is {stop_at_first!r}; it takes True or False")
    if isinstance(outage_s, bool) or not isinstance(outage_s, int | float) or not 0 <= outage_s < math.inf:
        raise ValueError(f"outage_s is {outage_s!r}; it takes seconds, 0 or more")
    if executors is not None and not isinstance(executors, Mapping):
        kind = type(executors).__name__
        raise TypeError(f"executors is a {kind}; it takes a mapping, an executor for the name of each endpoint")


def _check_jobs(jobs: Any, take: str) -> None:
    if isinstance(jobs, Job | ExecuteJob | str | bytes | Mapping) or not isinstance(jobs, Iterable | AsyncIterable):
        raise TypeError(f"jobs is a {type(jobs).__name__}; it takes {take}, in a list or from a generator")


class JudgeResources:
    """The resources of a judge: pool, executors, threads and pings.

    Args:
        source, executors, registry, cache_dir: as for `Judge`, with the same errors.
        options: of runs; `verify` is taken from the config instead, and the clock from the pool.

    Attributes:
        pool: the pool in use.
        runner, tasks: carry out runs, for threads and for tasks.
        threads: make the runs that tasks wait for.
    """

    def __init__(
        self,
        source: "Pool | TaskPool | Config | str | PathLike[str]",
        options: RunnerOptions,
        *,
        executors: Mapping[str, Executor] | None,
        registry: Registry | None,
        cache_dir: str | PathLike[str] | None,
    ) -> None:
        with ExitStack() as made:
            config = None
            if isinstance(source, Pool | TaskPool):
                self.pool = source if isinstance(source, Pool) else source.pool
            else:
                config = source if isinstance(source, Config) else load_config(source)
                self.pool = Pool.from_config(config, registry=registry)
                made.callback(self.pool.close)
            registry = registry or default_registry()
            cache = Path(made.enter_context(Scratch()).path if cache_dir is None else cache_dir)
            own = config if config is not None and config.pool.connect is None else None  # None for a shared pool
            if executors is None and own is not None:
                executors = make_executors(own, registry, cache)
                for executor in executors.values():
                    made.callback(executor.close)
            make = executor_maker(registry, cache, config)
            live = LiveExecutors(self.pool, frozenset(options.asked.labels), make, executors)
            made.callback(live.close)
            verify = None if config is None or on_one_machine(self.pool.endpoints()) else config.verify
            self.runner = Runner(self.pool, live, replace(options, verify=verify, clock=self.pool.clock))
            self.threads = made.enter_context(ThreadPoolExecutor(_MOST_RUNS, thread_name_prefix="judge-run"))
            self.tasks = TaskRunner(self.runner.attempts, self.pool.aio, self.threads)
            if own is not None and own.health and own.health.ping != "off":
                pings = pings_of(dict(live), own.health.ping)
                every_s, conclusive = own.health.ping_every_s, own.health.conclusive
                made.enter_context(Prober(self.pool, pings, every_s=every_s, conclusive=conclusive))
            self._made = made.pop_all()

    def close(self) -> None:
        """Start no more programs, wait for those that run, and free the judge's own resources."""
        self.runner.attempts.stopping.set()
        self._made.close()
