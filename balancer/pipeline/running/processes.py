"""Process engine (`balancer run --processes N`): judges the problems of a run in processes of this machine.

This process serves the pool on loopback and has the results. Each worker leases from the pool and judges some problems
at once, in threads. Decides which worker gets a problem, and what happens when one dies.
"""

import asyncio
import contextlib
import multiprocessing
import os
import queue
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final, Self

from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer, loop_factory
from balancer.errors import BalancerError, ConfigError, UnknownEndpoint
from balancer.judging.runner import Stopped
from balancer.judging.trust import Trust
from balancer.pipeline.progress import WorkerProgress
from balancer.pipeline.running.remote import RemoteResult, RemoteTask, run_remote_task
from balancer.pipeline.running.setting_up import settings_of
from balancer.plugins.extras import require
from balancer.plugins.registry import default_registry
from balancer.pool.connected import ConnectedPool
from balancer.pool.pool import Pool
from balancer.program import Executor
from balancer.sandbox.executors import make_executors
from balancer.scratch import Scratch
from balancer.settings.config import Config

__all__ = ["ProcessEngine"]

_TRIES: Final = 4  # workers that a problem may lose
_LOOK_S: Final = 0.2
_ANSWER_S: Final = 30.0
_END_S: Final = 5.0  # for a worker to end by itself
_BLOCK: Final = 8  # leases of one round trip, if so many are free
_TTL_S: Final = 30.0  # of leases; of a worker that dies they are free at once
_READY: Final = "ready"


class ProcessEngine:
    """Starts worker processes on this machine.

    Args:
        processes: how many.

    Raises:
        MissingExtra: the extra `serve` is not installed.
    """

    def __init__(self, processes: int) -> None:
        require("serve", '"balancer run --processes"')
        self._processes = processes

    @contextmanager
    def open(self, config: Config) -> Iterator["_Workers"]:
        """Start the workers for a run. Raises ConfigError, BalancerError."""
        with ExitStack() as stack:
            served = stack.enter_context(_ServedPool(config))
            yield stack.enter_context(_Workers(config, served, self._processes))


class _ServedPool:
    """The pool of a run, served on loopback by a thread, for the length of a `with` block.

    Only steps of the server change its core.
    """

    def __init__(self, config: Config) -> None:
        self.pool = Pool.from_config(config, clock=clock)  # the clock of its coordinator
        self.token = secrets.token_hex(16)
        self.url = ""
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, PoolServer, int]] = Future()
        self._thread = threading.Thread(target=self._serve, name="balancer-served", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._loop, self._over, self._server, port = self._begun.result(_ANSWER_S)
        except BaseException:
            self.pool.close()
            raise
        self.url = str(Address("127.0.0.1", port, tls=False))
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self.pool.close()

    def _serve(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._stay())
        except BaseException as error:
            self._begun.set_exception(error)

    async def _stay(self) -> None:
        engine, over = self.pool.engine, asyncio.Event()

        def told() -> None:
            if engine.happened:
                engine.delivery.deliver()

        server = PoolServer(
            engine.core,
            times=ClusterTimes(_TTL_S),
            last=CoordinatorRecord(0, _TTL_S, frozenset()),  # nobody can hold a lease of a new pool
            keep=lambda record: None,  # it ends with this process
            token=self.token,
            guard=engine.under_lock,  # other threads read the pool
            told=told,
        )
        port = await server.listen("127.0.0.1", 0)
        self._begun.set_result((asyncio.get_running_loop(), over, server, port))
        await over.wait()
        await server.end()

    def drain(self, name: str) -> None:
        """Grant no new lease of an endpoint."""
        core, coordinator = self.pool.engine.core, self._server.coordinator

        def step() -> None:
            now = clock()
            with contextlib.suppress(UnknownEndpoint):
                coordinator.change([lambda: core.drain(name, now)], now)

        self._loop.call_soon_threadsafe(self._server.act, step)


class _MemberPool(ConnectedPool):
    """The pool, as a process of the run uses it."""

    drained: set[str]
    """Endpoints that this process wants drained."""

    def drain(self, name: str) -> None:  # type: ignore[override]  # who else is connected refuses it, whatever is given
        """Have the endpoint drained as soon as the problem is over. Until then nothing that leased it counts."""
        self.drained.add(name)


def _member(config: Config, url: str, token: str) -> _MemberPool:
    settings = config.pool
    pool = _MemberPool(
        url,
        token=token,
        block=_BLOCK,
        acquire_timeout_s=settings.acquire_timeout_s,
        retries=config.retries,
        ttl_s=settings.ttl_s,
        leak_after_s=settings.leak_after_s,
    )
    pool.drained = set()
    pool.hide(config.redact)
    return pool


# -- in the process of the run --------------------------------------------------------------------------


class _Workers:
    """The worker processes of one run. See `balancer.pipeline.running.remote.RemoteWorkers`."""

    def __init__(self, config: Config, served: _ServedPool, processes: int) -> None:
        self._config = config
        self._served = served
        self._each = -(-settings_of(config).sample_level_workers // processes)  # problems at once
        self.at_once = processes * self._each
        self._free: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._over = False
        self._processes: list[_Process] = []
        self.pool: Pool = _member(config, served.url, served.token)

    def __enter__(self) -> "_Workers":
        try:
            for each in [self._begin() for _ in range(self.at_once // self._each)]:
                self._let_in(each)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        self.pool.close()
        for each in self._processes:
            each.end()

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> RemoteResult | str:
        """Have a problem judged, and wait for the result. Return the reason as text if its workers died repeatedly."""
        lost = 0
        while lost < _TRIES:
            line = self._free_line(stopping)
            begun = not line.process.died
            try:
                came, drained = line.judge(sent, heard, stopping)
            except (EOFError, OSError):
                self._replace(line.process)
                lost += begun
                continue
            self._free.put(line)
            for name in drained:
                self._served.drain(name)
            if isinstance(came, str):
                raise BalancerError(f"{sent.problem.id}: {came}")
            return came
        return f"its worker died {_TRIES} times"

    def _free_line(self, stopping: Callable[[], bool]) -> "_Line":
        """Wait for a line without work. Raises Stopped, e.g. because another problem found that no worker can start."""
        while not stopping():
            with contextlib.suppress(queue.Empty):
                return self._free.get(timeout=_LOOK_S)
        raise Stopped

    def stats(self) -> Mapping[str, Any]:
        """Return the counters of the pool, over all processes, as `PoolStats.to_dict` does."""
        return self._served.pool.stats().to_dict()

    def _begin(self) -> "_Process":
        process = _Process(self._config, self._served, self._each)
        self._processes.append(process)
        return process

    def _let_in(self, process: "_Process") -> None:
        """Wait until it, or another one in its place, is ready, and give it work. Raises BalancerError if none can."""
        for _ in range(_TRIES):
            said = process.wait()
            if said == _READY:
                for line in process.lines:
                    self._free.put(line)
                return
            self._end(process)
            if said:
                raise BalancerError(f"a worker process cannot judge: {said}")
            process = self._begin()
        raise BalancerError(f"worker processes died at their start, {_TRIES} of them; is there enough memory?")

    def _end(self, process: "_Process") -> None:
        process.end()
        self._processes.remove(process)

    def _replace(self, process: "_Process") -> None:
        """Start another one in its place; once, whichever problem finds it dead."""
        with self._lock:
            if process.died or self._over:
                return
            process.died = True
            self._end(process)
            self._let_in(self._begin())


class _Process:
    """A worker process, and a line to each of its threads."""

    def __init__(self, config: Config, served: _ServedPool, lines: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of other threads
        ours, theirs = zip(*(context.Pipe() for _ in range(lines)), strict=True)
        self.lines = [_Line(self, each) for each in ours]
        self.died = False
        self._process = context.Process(
            target=_work, args=(config, served.url, served.token, theirs), name="balancer-worker", daemon=True
        )
        self._process.start()
        for each in theirs:
            each.close()  # so that the end of the process ends the lines

    def wait(self) -> str:
        """Wait until it is ready, and return `_READY`; or why it cannot work, or "" if it died."""
        try:
            said: str = self.lines[0].connection.recv()
        except (EOFError, OSError):
            return ""
        return said

    def end(self) -> None:
        """End it, and what it does."""
        for each in self.lines:
            each.connection.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class _Line:
    """The way to one thread of a worker. For one thread at a time."""

    def __init__(self, process: _Process, connection: "Connection[Any, Any]") -> None:
        self.process = process
        self.connection = connection

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> tuple[RemoteResult | str, frozenset[str]]:
        """Return the result, or an error as text, and the endpoints to drain. Raises EOFError, OSError if it died."""
        self.connection.send(sent)
        told = False
        while True:
            if stopping() and not told:
                told = True
                self.connection.send(None)
            if not self.connection.poll(_LOOK_S):
                continue
            came = self.connection.recv()
            if not isinstance(came, WorkerProgress):
                result, drained = came
                return result, drained
            heard(came)


# -- in a worker ----------------------------------------------------------------------------------------


def _work(config: Config, url: str, token: str, lines: "tuple[Connection[Any, Any], ...]") -> None:
    """Judge problems until the lines end."""
    for each in (signal.SIGINT, signal.SIGTERM):  # a ctrl-C must reach only the run, which stops its workers
        signal.signal(each, signal.SIG_IGN)
    try:
        with ExitStack() as stack:
            scratch = stack.enter_context(Scratch())  # compiled programs are kept for the next problem
            executors = make_executors(config, default_registry(), scratch.path)
            for executor in executors.values():
                stack.callback(executor.close)
            pool = stack.enter_context(_member(config, url, token))
            trust = Trust(config.verify, executors)
            lines[0].send(_READY)
            with ThreadPoolExecutor(len(lines), thread_name_prefix="balancer-line") as threads:
                for line in lines:
                    threads.submit(_judge_all, line, config, pool, executors, trust)
    except (BalancerError, OSError) as error:
        with contextlib.suppress(OSError):
            lines[0].send("; ".join(error.problems) if isinstance(error, ConfigError) else str(error))


def _judge_all(
    line: "Connection[Any, Any]", config: Config, pool: _MemberPool, executors: Mapping[str, Executor], trust: Trust
) -> None:
    """Judge what the run sends, until it closes the line. If it is closed meanwhile, the run is gone: die at once."""
    registry = default_registry()

    def tell(heard: WorkerProgress) -> bool:
        try:
            line.send(heard)
            return line.poll()  # while a problem is at work, only the request to stop is sent
        except OSError:
            os._exit(1)

    while True:
        try:
            sent = line.recv()
        except (EOFError, OSError):
            return
        if sent is None:  # the problem was over before the request to stop came
            continue
        came: RemoteResult | str
        try:
            came = run_remote_task(sent, config, registry, pool, executors, tell, trust)
        except Exception as error:
            came = f"{type(error).__name__}: {error}".splitlines()[0]
        try:
            line.send((came, frozenset(pool.drained)))
        except OSError:
            os._exit(1)
