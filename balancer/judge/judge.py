"""`Judge`: a program and its cases in, verdicts out, from threads and from tasks.

A shell: it owns what is closed in the end, and has threads carry out what `judging` wants. How many programs are at
work, and how many results are kept, is decided here. It must not know what a verdict is made of.
"""

import asyncio
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from balancer.endpoint import Endpoint
from balancer.errors import PoolClosed
from balancer.judge.cases import AnyCase, cases_in
from balancer.judge.extract import program_in
from balancer.judge.judged import Job, Judged
from balancer.judge.procedure import checker_of, judging, limits_for, until
from balancer.judging.pending import PendingRuns, Stopped
from balancer.judging.runner import Runner
from balancer.judging.task_runner import TaskRunner
from balancer.plugins.registry import Registry, default_registry
from balancer.pool.pool import Pool
from balancer.problem import Checker
from balancer.program import Executor, Limits, Program
from balancer.sandbox.executors import executor_maker, make_executors
from balancer.sandbox.http.headers import secrets_of
from balancer.sandbox.live import LiveExecutors
from balancer.sandbox.pings import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config, load_config, on_one_machine
from balancer.shells.driver import LeaseRequest
from balancer.shells.prober import Prober
from balancer.shells.tasks.face import TaskPool
from balancer.values.numbers import checked, whole
from balancer.values.redaction import Redaction

__all__ = ["Judge"]

_MOST_AT_ONCE = 256
_MOST_RUNS = 1000  # threads for the runs of tasks: there are as many as slots are leased
_WINDOW = 4  # so many results are kept for each program at work, where one that is slow holds up the order
_LIMIT_S = 10.0
_CLOSED = (
    "this Judge is closed: no more programs are judged with it; make another one (a pool that it was given is open)"
)
_NO_MORE = object()


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
        self._checker = checker_of(checker)
        self._limits = limits_for(limits)
        self._stop_at_first = stop_at_first
        self._at_once = None if at_once is None else checked("at_once", at_once, whole)
        self._labels = frozenset(labels)
        self._owned = ExitStack()
        with ExitStack() as made:
            config = None
            if isinstance(source, Pool | TaskPool):
                self.pool = source if isinstance(source, Pool) else source.pool
            else:
                config = source if isinstance(source, Config) else load_config(source)
                self.pool = Pool.from_config(config, registry=registry)
                made.callback(self.pool.close)
            registry = registry or default_registry()
            if cache_dir is None:
                cache_dir = made.enter_context(Scratch()).path
            cache = Path(cache_dir)
            given = executors
            served = config is not None and config.pool.connect is not None
            if given is None and config is not None and not served:
                given = make_executors(config, registry, cache)
                for executor in given.values():
                    made.callback(executor.close)
            verify = None if config is None or on_one_machine(self.pool.endpoints()) else config.verify
            make = executor_maker(registry, cache, config)
            self._executors = LiveExecutors(self.pool, self._labels, make, given)
            made.callback(self._executors.close)
            self._runner = Runner(
                self.pool,
                self._executors,
                attempts=checked("attempts", attempts, whole),
                quiet_label=quiet_label,
                on_span=lambda span: None,
                outage_s=outage_s,
                verify=verify,
                asked=LeaseRequest(labels=self._labels, priority=priority, holder=holder),
                clock=self.pool.clock,
            )
            self._threads = made.enter_context(ThreadPoolExecutor(_MOST_RUNS, thread_name_prefix="judge-run"))
            self._tasks = TaskRunner(self._runner.attempts, self.pool.aio, self._threads)
            if config is not None and not served and config.health and config.health.ping != "off":
                pings = pings_of(dict(self._executors), config.health.ping)
                every_s, conclusive = config.health.ping_every_s, config.health.conclusive
                made.enter_context(Prober(self.pool, pings, every_s=every_s, conclusive=conclusive))
            self._owned = made.pop_all()

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
        return self._follow(self._errands(job))

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
        try:
            return await self._tasks.follow(self._errands(job))
        except Stopped:
            raise self._ended() from None

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
        _checked(jobs)
        workers = self._workers(at_once)
        gone = threading.Event()
        ended: SimpleQueue[Future[Judged]] = SimpleQueue()
        waiting: deque[Future[Judged]] = deque()
        threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        numbered, more, out = enumerate(jobs), True, 0
        try:
            while True:
                while more and out < _WINDOW * workers:
                    taken = next(numbered, None)
                    if taken is None:
                        more = False
                        break
                    future = threads.submit(self._follow, self._errands(taken[1], taken[0], gone.is_set))
                    out += 1
                    if ordered:
                        waiting.append(future)
                    else:
                        future.add_done_callback(ended.put)
                if not out:
                    return
                judged = (waiting.popleft() if ordered else ended.get()).result()
                out -= 1
                yield judged
        finally:
            gone.set()
            threads.shutdown(wait=True, cancel_futures=True)

    async def arun_many(
        self, jobs: Iterable[Job] | AsyncIterable[Job], *, ordered: bool = True, at_once: int | None = None
    ) -> AsyncIterator[Judged]:
        """Do in tasks of asyncio what `run_many` does in threads; close it (`aclosing`) to stop before the end."""
        _checked(jobs)
        workers = self._workers(at_once)
        room = asyncio.Semaphore(workers)
        ended: asyncio.Queue[asyncio.Task[Judged]] = asyncio.Queue()
        tasks: dict[asyncio.Task[Judged], None] = {}  # in order
        more, number = True, 0

        async def judged(errands: PendingRuns[Judged]) -> Judged:
            async with room:
                try:
                    return await self._tasks.follow(errands)
                except Stopped:
                    raise self._ended() from None

        source = _each(jobs)
        try:
            while True:
                while more and len(tasks) < _WINDOW * workers:
                    job: Any = await anext(source, _NO_MORE)
                    if job is _NO_MORE:
                        more = False
                        break
                    task = asyncio.create_task(judged(self._errands(job, number)))
                    number += 1
                    tasks[task] = None
                    if not ordered:
                        task.add_done_callback(ended.put_nowait)
                if not tasks:
                    return
                task = next(iter(tasks)) if ordered else await ended.get()
                found = await task
                del tasks[task]
                yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await source.aclose()

    # -- inside --------------------------------------------------------------------------------------

    def _errands(self, job: Job, number: int = 0, gone: Callable[[], bool] = lambda: False) -> PendingRuns[Judged]:
        if not isinstance(job, Job):
            raise TypeError(f"found {type(job).__name__}; a job is a Job(program, cases), or Job.of(completion, tests)")
        if self._runner.attempts.stopping.is_set():
            raise self._ended()
        checker = self._checker if job.checker is None else checker_of(job.checker)
        limits = self._limits if job.limits is None else limits_for(job.limits)
        stop_at_first = self._stop_at_first if job.stop_at_first is None else job.stop_at_first
        stopping = self._runner.attempts.stopping
        errands = judging(self._runner.reruns, job, checker, limits, stop_at_first, self._redact)
        return until(lambda: gone() or stopping.is_set(), errands, number)

    def _follow(self, errands: PendingRuns[Judged]) -> Judged:
        try:
            return self._runner.follow(errands)
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
        self._runner.attempts.stopping.set()
        self._owned.close()

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


def _checked(jobs: Any) -> None:
    if isinstance(jobs, Job | str | bytes | Mapping) or not isinstance(jobs, Iterable | AsyncIterable):
        raise TypeError(f"jobs is a {type(jobs).__name__}; it takes Jobs, in a list or as they are made")


async def _each(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncGenerator[Any, None]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
        return
    for job in jobs:
        yield job
