"""Resources of a judge: the pool, executors, threads and pings that it holds until it is closed.

Decides which of them are the judge's own: a pool that it was given stays open. It must not know what is judged.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path

from balancer.judging.options import RunnerOptions
from balancer.judging.runner import Runner
from balancer.judging.task_runner import TaskRunner
from balancer.plugins.registry import Registry, default_registry
from balancer.pool.aio import TaskPool
from balancer.pool.pool import Pool
from balancer.program import Executor
from balancer.sandbox.executors import executor_maker, make_executors
from balancer.sandbox.live import LiveExecutors
from balancer.sandbox.pings import pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config, load_config, on_one_machine
from balancer.shells.prober import Prober

__all__ = ["JudgeResources"]

_MOST_RUNS = 1000  # threads for the runs of tasks: there are as many as slots are leased


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
