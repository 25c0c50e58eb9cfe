"""`Judge`: a program and its cases in, verdicts out, from threads and from tasks.

A shell: threads and tasks carry out what `procedure` wants. What the arguments may be, and how many programs are at
work, is decided here.

Resources of a judge: the pool, executors, threads and pings that it holds until it is closed. Decides which of them are
the judge's own: a pool that it was given stays open.
"""

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from balancer.endpoint import Endpoint
from balancer.errors import PoolClosed
from balancer.judge.batches import in_tasks, in_threads
from balancer.judge.cases import AnyCase, cases_in
from balancer.judge.extract import program_in
from balancer.judge.judged import Job, Judged
from balancer.judge.procedure import JudgingRules, checker_of, judge_job, limits_for, until
from balancer.judging.pending import PendingRuns, RunnerOptions, Stopped
from balancer.judging.runner import Runner
from balancer.judging.task_runner import TaskRunner
from balancer.plugins.registry import Registry, default_registry
from balancer.pool.aio import TaskPool
from balancer.pool.pool import Pool
from balancer.problem import Checker
from balancer.program import Executor, Limits, Program
from balancer.sandbox.executors import LiveExecutors, executor_maker, make_executors
from balancer.sandbox.probes import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config, load_config, on_one_machine
from balancer.shells.lease_request import LeaseRequest
from balancer.shells.prober import Prober
from balancer.values.headers import secrets_of
from balancer.values.numbers import checked, whole
from balancer.values.redaction import Redaction

__all__ = ["Judge", "JudgeResources"]

_MOST_AT_ONCE = 256
_LIMIT_S = 10.0
_CLOSED = (
    "this Judge is closed: no more programs are judged with it; make another one (a pool that it was given is open)"
)
_MOST_RUNS = 1000  # threads for the runs of tasks: there are as many as slots are leased


class Judge:
    """Judges programs on the endpoints of a pool, which may serve others as well. Thread-safe.

    Nothing that an endpoint does becomes a verdict on a program: a run that fails is made elsewhere, a time limit that
    a busy server may have caused is looked at again, and what cannot be known is unjudged, and has no score.

    Args:
        source: a pool; or a config, or the path of one, which the judge makes a pool of its own from.
        checker: how outputs are compared: `Checker`, or an output validator as a `Program`; None: token by token.
        limits: what each run may use, or its CPU seconds.
        stop_at_first: whether nothing is run any more once a case was not accepted.
        at_once: programs at work at once in `run_many`; None: twice as many as there are slots, 256 at most.
        attempts: tries of a run before it counts as unjudged; at least one on each endpoint.
        outage_s: while nothing at all succeeds, runs are tried beyond that for so many seconds.
        labels: what an endpoint must have to be asked.
        priority, holder: of its leases; see `Pool.acquire`.
        quiet_label: endpoints with this label are preferred for a second look at a suspect time limit.
        cache_dir: where programs are kept that were compiled on this machine; None: a folder until it is closed.
        executors: what runs programs, by the name of the endpoint, and is closed with the judge; None: what the schemes
            of the URLs say.
        registry: the plugins; default: everything installed.

    Attributes:
        pool: whose endpoints are used.

    Raises:
        ConfigError: the config cannot be used, or nothing runs programs on an endpoint.
        TypeError, ValueError: an argument is not of its kind, or not in its range.
        MissingExtra: what runs them is not installed.
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
        """Judge `program` on `cases`, one after the other, and return what is known of it.

        Args:
            program: what is judged; a text is what a model wrote, which a program in Python is taken out of.
            cases: `StdinCase`, `CallCase`, or pairs of input and output.
            checker, limits, stop_at_first: as for the class; None: as the judge was told.

        Raises:
            PoolClosed: the judge, or its pool, was closed.
            ValueError, TypeError: a case cannot be run, whoever wrote the program.
        """
        return self.run_job(_job(program, cases, checker, limits, stop_at_first))

    def run_job(self, job: Job) -> Judged:
        """Judge one job; as `run`."""
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
        """Do in a task what `run` does in a thread. Cancelled, it waits for no run that is under way."""
        return await self.arun_job(_job(program, cases, checker, limits, stop_at_first))

    async def arun_job(self, job: Job) -> Judged:
        """Judge one job in a task; as `arun`."""
        return await self._follow_in_task(self._start(job))

    # -- many ----------------------------------------------------------------------------------------

    def run_many(self, jobs: Iterable[Job], *, ordered: bool = True, at_once: int | None = None) -> Iterator[Judged]:
        """Judge `jobs`, and yield what is known of each.

        Jobs are taken in as there is room: however many there are, four times `at_once` are in memory, those that are
        judged and not handed out yet included. Whoever stops reading stops it, once the runs under way have ended.

        Args:
            jobs: in a list, or made as they are asked for, in the caller's thread.
            ordered: whether results come in the order of the jobs; else as they end, and `Judged.number` tells which.
            at_once: as for the class.

        Raises:
            ValueError: the first job that cannot be judged, by the caller's mistake; what else `run` raises.
        """
        _check_jobs(jobs)
        yield from in_threads(jobs, self._start, self._follow, self._workers(at_once), ordered=ordered)

    async def arun_many(
        self, jobs: Iterable[Job] | AsyncIterable[Job], *, ordered: bool = True, at_once: int | None = None
    ) -> AsyncIterator[Judged]:
        """Do in tasks of asyncio what `run_many` does in threads; close it (`aclosing`) to stop before the end."""
        _check_jobs(jobs)
        batch = in_tasks(jobs, self._start, self._follow_in_task, self._workers(at_once), ordered=ordered)
        async with aclosing(batch) as found:
            async for judged in found:
                yield judged

    # -- inside --------------------------------------------------------------------------------------

    def _start(self, job: Job, number: int = 0, gone: Callable[[], bool] = lambda: False) -> PendingRuns[Judged]:
        if not isinstance(job, Job):
            raise TypeError(f"found {type(job).__name__}; a job is a Job(program, cases), or Job.of(completion, tests)")
        stopping = self._runner.attempts.stopping
        if stopping.is_set():
            raise self._ended()
        pending_runs = judge_job(self._runner.reruns, job, self._rules.of(job), self._redact)
        return until(lambda: gone() or stopping.is_set(), pending_runs, number)

    def _follow(self, pending_runs: PendingRuns[Judged]) -> Judged:
        try:
            return self._runner.follow(pending_runs)
        except Stopped:
            raise self._ended() from None

    async def _follow_in_task(self, pending_runs: PendingRuns[Judged]) -> Judged:
        try:
            return await self._resources.tasks.follow(pending_runs)
        except Stopped:
            raise self._ended() from None

    def _ended(self) -> PoolClosed:
        """Return the error of a run that was stopped: the judge was closed, or else its pool."""
        return PoolClosed(_CLOSED) if self._runner.attempts.stopping.is_set() else PoolClosed()

    def _redact(self, note: str) -> str:
        """Return `note` without what the headers of endpoints hold: a plugin's executor may not have seen to it."""
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
        """Start no more programs, wait for those that run, and let go of what is the judge's own. May be called twice.

        A pool that it was given stays open.
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
    if isinstance(program, str):
        program = program_in(program)
    elif program is not None and not isinstance(program, Program):
        kind = type(program).__name__
        raise TypeError(f"program is a {kind}; it takes a Program, a text that a model wrote, or None if it wrote none")
    return Job(program, cases_in(cases), checker, limits, stop_at_first)


def _check(source: object, labels: object, stop_at_first: object, outage_s: object, executors: object) -> None:
    """Raise for an argument of a judge that is not of its kind."""
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


def _check_jobs(jobs: Any) -> None:
    if isinstance(jobs, Job | str | bytes | Mapping) or not isinstance(jobs, Iterable | AsyncIterable):
        raise TypeError(f"jobs is a {type(jobs).__name__}; it takes Jobs, in a list or as they are made")


class JudgeResources:
    """What a judge runs programs with.

    Args:
        source, executors, registry, cache_dir: as for `Judge`, which raises what is raised here.
        options: how runs are made; which are verified, and the clock, are as config and pool say.

    Attributes:
        pool: whose endpoints are used.
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
            own = config if config is not None and config.pool.connect is None else None  # a pool that nobody shares
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
        """Start no more programs, wait for those that run, and let go of what is the judge's own."""
        self.runner.attempts.stopping.set()
        self._made.close()
