"""Run of the pipeline: from a config to a report, in threads. It can be stopped and resumed.

It assembles the parts of a run, and ends cleanly on a signal. A shell.
"""

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console

from balancer.errors import ConfigError
from balancer.hookspecs import Generator
from balancer.judging.executors import LiveExecutors, executor_maker, languages_of, make_executors
from balancer.judging.runner import Runner
from balancer.observing.page.serving import PageContents, open_page, token_of_environment
from balancer.opening.pool import Pool
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import OpenedGenerator, RunServices
from balancer.pipeline.report.export import conclude
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.read import ALL, Shard
from balancer.pipeline.running.problem_source import (
    find_packages,
    languages_in,
    lines_on_missing,
    open_problem_source,
)
from balancer.pipeline.running.remote import RemoteEngine, judge_elsewhere
from balancer.pipeline.running.setting_up import (
    SessionRecord,
    find_generators,
    judge_here,
    open_runner,
    settings_of,
)
from balancer.pipeline.running.turns import ProblemTurns
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.sandbox.probes import pings_of
from balancer.settings.config import Config
from balancer.settings.pipeline import PipelineSettings
from balancer.shells.prober import Prober

__all__ = ["RunOptions", "find_generators", "run_pipeline", "settings_of", "slots_of"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run beside its config.

    Attributes:
        fresh: forget the run in the results folder and start over.
        shard: the part of the rows or packages for this machine.
        live: port of a page that shows the run, 0 for a free one; None: no page.
        engine: starts workers that judge the problems; None: the threads of this process.
    """

    fresh: bool = False
    shard: Shard = ALL
    live: int | None = None
    engine: RemoteEngine | None = None


_USUAL_OPTIONS = RunOptions()


def run_pipeline(
    config: Config, registry: Registry, console: Console, options: RunOptions = _USUAL_OPTIONS
) -> RunResult:
    """Judge the problems of `config` over one pool, and return the result.

    A run that was stopped or killed continues where it was. A complete run runs nothing. After a signal, the result has
    `complete=False` and the signal's number.

    Args:
        config: must have a `pipeline`.
        registry: the plugins.
        console: for progress.
        options: of the run.

    Raises:
        ConfigError, PackageError: something must be corrected first; nothing was run.
        BalancerError: the run cannot continue, e.g. because the disk is full; what was judged is kept.
    """
    with ExitStack() as stack:
        # Whatever may fail is checked before the folder is claimed; first of all, whether a package can be read.
        settings = settings_of(config)
        found = find_packages(settings)
        generators = find_generators(config, registry)
        if options.engine is not None:
            _refuse_what_is_not_shared(config, generators)
        workers = stack.enter_context(options.engine(config)) if options.engine is not None else None
        pool = stack.enter_context(Pool.from_config(config, registry=registry)) if workers is None else workers.pool
        _refuse_an_empty_pool(pool, config)
        folder = Path(settings.results)
        store = stack.enter_context(Store(folder, fresh=options.fresh))
        executors = _executors(pool, config, registry, folder / "compiled", stack)

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)

        languages = languages_of(executors, languages_in(found.packages.read, settings.python))
        for line in lines_on_missing(found.packages.read, languages):
            say(line)
        source = open_problem_source(settings, found, languages, store, say, options.shard)

        session = store.begin_session(pool.stats().strategy, _slots(config, pool))
        if workers is None and config.pool.connect is None:  # all leases are made here, so that they can be traced
            stack.enter_context(pool.trace(store.trace))
        record = SessionRecord(store, session, say, time.monotonic())
        runner = open_runner(pool, executors, settings, config.verify, record)
        _send_pings(config, pool, executors, stack)
        services = RunServices(config.llm, registry, settings.outage_s, store.answers, say)
        opened = [
            stack.enter_context(each.open(services)) if isinstance(each, OpenedGenerator) else each
            for each in generators
        ]
        progress = stack.enter_context(Progress(console, source.count, unit=source.unit, streamed=source.streamed))
        if options.live is not None:
            _show_page(config, pool, options.live, progress, stack)
        for problem in source.known:
            progress.plan(problem.id, _guess(problem, settings))
        at_once = settings.sample_level_workers
        judge = partial(judge_here, opened, settings, runner, store, progress)
        if workers is not None:
            at_once = max(at_once, workers.at_once)
            judge = partial(judge_elsewhere, workers, record, progress, runner)
        with _stop_on_signal(runner, progress) as told:
            complete = ProblemTurns(source, judge, at_once, store, progress, runner).take_all()
        store.end_session(session, pool.stats().to_dict() if workers is None else workers.stats(), complete=complete)
        return replace(conclude(store, folder, say), stopped_by=told[0])


def _slots(config: Config, pool: Pool) -> int:
    """Return the largest number of leases at once."""
    if config.pool.connect is None and not config.discovery:
        return slots_of(config)
    return sum(each.capacity for each in pool.endpoints())


def _send_pings(config: Config, pool: Pool, executors: Mapping[str, Executor], stack: ExitStack) -> None:
    """Ping the endpoints of the config, until `stack` is closed. A server pings its endpoints itself."""
    health = config.health
    if config.pool.connect is None and health and health.ping != "off":
        pings = pings_of({endpoint.name: executors[endpoint.name] for endpoint in config.pool_endpoints}, health.ping)
        stack.enter_context(Prober(pool, pings, every_s=health.ping_every_s, conclusive=health.conclusive))


def _show_page(config: Config, pool: Pool, port: int, progress: Progress, stack: ExitStack) -> None:
    """Serve a page that shows the run, until `stack` is closed."""
    progress.watched = True
    contents = PageContents(extra=progress.tables, name=Path(config.file).stem)
    token = token_of_environment()
    page = stack.enter_context(open_page(pool, port=port, token=token, redact=config.redact, contents=contents))
    progress.say(f"page at {page.url}")


def _executors(pool: Pool, config: Config, registry: Registry, cache: Path, stack: ExitStack) -> Mapping[str, Executor]:
    """Return the executor of each endpoint, by name, until `stack` is closed."""
    if config.pool.connect is None and not config.discovery:
        made = make_executors(config, registry, cache)
        for executor in made.values():
            stack.callback(executor.close)
        return made
    live = LiveExecutors(pool, frozenset(), executor_maker(registry, cache, config))  # they may come and go
    stack.callback(live.close)
    return live


def _refuse_an_empty_pool(pool: Pool, config: Config) -> None:
    """Raise ConfigError if no source has listed an endpoint in time: nothing could be judged."""
    if config.discovery and config.pool.connect is None and not pool.endpoints():
        said = "; ".join(f"{each.name}: {each.trouble or 'no answer yet'}" for each in pool.stats().sources)
        raise config.located(
            "discovery", ConfigError(f"no source has listed an endpoint ({said}); wait, or correct it")
        )


def _refuse_what_is_not_shared(config: Config, generators: Sequence[Generator]) -> None:
    """Raise ConfigError for generators that count their budget in one process."""
    opened = [each.name for each in generators if isinstance(each, OpenedGenerator)]
    if opened:
        advice = "leave it out, or run without --engine"
        line = f"{', '.join(opened)} keeps its budget in one process; {advice}"
        raise config.located("pipeline.generators", ConfigError(line))


def _guess(problem: Problem, settings: PipelineSettings) -> int:
    """Return a guess of the program runs for `problem`, for the time left, until its inputs are known."""
    made_up = settings.max_inputs if problem.input_validators or problem.by_agreement else 0
    cases = len(problem.data) + made_up
    return cases * (1 + len(problem.submissions))


def slots_of(config: Config) -> int:
    """Return the number of slots usable at once: for each host its capacities, or its cap if that is less."""
    capacities: dict[str | None, int] = defaultdict(int)
    for endpoint in config.pool_endpoints:
        capacities[endpoint.host] += endpoint.capacity
    caps = {
        host: config.host_caps.get(host or "", config.host_caps.get("*", slots)) for host, slots in capacities.items()
    }
    return sum(min(slots, caps[host]) for host, slots in capacities.items())


@contextmanager
def _stop_on_signal(runner: Runner, progress: Progress) -> Iterator[list[int]]:
    """Stop cleanly at the first SIGINT or SIGTERM. At the second, die at once, which does not harm the store.

    Yields a list of the signal that stopped the run; 0: none.
    """
    told = [0]
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def stop(number: int, frame: FrameType | None) -> None:
        told[0] = number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        progress.say("stopping after the programs that run now; repeat to stop at once")
        runner.stop()

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
