"""A whole run: from a config to a report, in threads, stoppable, resumable.

It spreads the problems over threads, and ends cleanly when a person stops the run. A shell: judging a program and
choosing an endpoint are done by others.
"""

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from balancer.errors import ConfigError
from balancer.hookspecs import Generator
from balancer.pipeline.packages.read import fingerprint, read_problems
from balancer.pipeline.results.collect import collect
from balancer.pipeline.results.export import export_cases
from balancer.pipeline.results.records import RunResult, Span
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.progress import Progress
from balancer.pipeline.running.runner import Runner, Stopped
from balancer.pipeline.running.sample import Sample
from balancer.pipeline.running.steps import judge_problem
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.sandbox.executors import make_executors
from balancer.sandbox.pings import pings_of
from balancer.settings.config import Config
from balancer.settings.pipeline import PipelineSettings
from balancer.shells.prober import Prober
from balancer.shells.threads import Pool

__all__ = ["find_generators", "run_pipeline", "settings_of", "slots_of"]


def run_pipeline(config: Config, registry: Registry, console: Console, *, fresh: bool = False) -> RunResult:
    """Judge the problems of `config` over one pool, and return what was found.

    A run that was stopped or killed goes on where it was; one that is complete runs nothing. If it is
    stopped by a signal the result says `complete=False`, and which signal it was.

    Args:
        config: must have a `pipeline`.
        registry: the plugins.
        console: for progress.
        fresh: forget the run in the results folder and start over.

    Raises:
        ConfigError, PackageError: something must be put right first; nothing was run.
        BalancerError: the run cannot go on, e.g. because the disk is full; what was judged is kept.
    """
    settings = settings_of(config)
    problems = read_problems(Path(settings.problems))
    generators = find_generators(config, registry)
    pool = Pool.from_config(config, registry=registry)
    results = Path(settings.results)
    with ExitStack() as stack:
        store = stack.enter_context(Store(results, fresh=fresh))
        executors = make_executors(config, registry, results / "compiled")
        for executor in executors.values():
            stack.callback(executor.close)
        # Last of all that may refuse: a run that never began must not claim the folder.
        store.claim(_essence(settings, problems, executors.values()))
        session = store.begin_session(config.pool.strategy, slots_of(config))
        runner = _runner(pool, executors, settings, store, session)
        if config.health and config.health.ping != "off":
            pings = pings_of(executors, config.health.ping)
            every_s, conclusive = config.health.ping_every_s, config.health.conclusive
            stack.enter_context(Prober(pool, pings, every_s=every_s, conclusive=conclusive))
        progress = stack.enter_context(Progress(console, len(problems)))
        for problem in problems:
            progress.plan(problem.id, _guess(problem, settings))
        samples = [Sample(problem, generators, settings, runner, store, progress) for problem in problems]
        with _stop_on_signal(runner, progress) as told:
            complete = _judge_all(samples, settings.sample_level_workers, runner)
        store.end_session(session, pool.stats().to_dict(), complete=complete)
        found = collect(store, problems)
        export_cases(store, found, results / "cases")
        return replace(found, stopped_by=told.signal)


def _guess(problem: Problem, settings: PipelineSettings) -> int:
    """Guess how many programs `problem` takes, for the time left, until its inputs are known."""
    made_up = settings.max_inputs if problem.input_validators else 0
    cases = len(problem.data) + made_up
    return cases * (1 + len(problem.submissions))


def slots_of(config: Config) -> int:
    """Return how many slots may be in use at once: the capacities on each host, or its cap where that is less."""
    capacities: dict[str | None, int] = defaultdict(int)
    for endpoint in config.pool_endpoints:
        capacities[endpoint.host] += endpoint.capacity
    caps = {
        host: config.host_caps.get(host or "", config.host_caps.get("*", slots)) for host, slots in capacities.items()
    }
    return sum(min(slots, caps[host]) for host, slots in capacities.items())


def settings_of(config: Config) -> PipelineSettings:
    """Return `[pipeline]`, or raise ConfigError if there is none."""
    if config.pipeline is None:
        raise config.located("[pipeline]", ConfigError('is missing; add it, with at least problems = "FOLDER"'))
    return config.pipeline


def find_generators(config: Config, registry: Registry) -> list[Generator]:
    """Return the input generators that the pipeline names. Raises ConfigError for those that do not exist."""
    found: list[Generator] = []
    mistakes: list[str] = []
    for name in settings_of(config).generators:
        try:
            found.append(registry.find(name, registry.generators, "generator"))
        except ConfigError as error:
            mistakes += config.located("pipeline.generators", error).problems
    if mistakes:
        raise ConfigError(dict.fromkeys(mistakes))
    return found


def _runner(
    pool: Pool, executors: Mapping[str, Executor], settings: PipelineSettings, store: Store, session: int
) -> Runner:
    began_s = time.monotonic()

    def record(span: Span) -> None:
        store.add_span(session, replace(span, started_s=span.started_s - began_s, ended_s=span.ended_s - began_s))

    return Runner(
        pool,
        executors,
        attempts=settings.attempts,
        outage_s=settings.outage_s,
        quiet_label=settings.quiet_label,
        on_span=record,
    )


def _essence(settings: PipelineSettings, problems: Sequence[Problem], executors: Iterable[Executor]) -> dict[str, str]:
    """Return what the verdicts depend on; endpoints, strategy and threads are not part of it.

    The languages are, because a submission in one that no endpoint runs is left out for good.
    """
    chosen = settings.model_dump(
        include={"generators", "max_inputs", "max_proposals", "seed", "time_limit_s", "time_limit_factor"}
    )
    known = frozenset[str]().union(*(executor.languages for executor in executors))
    used = {submission.program.language for problem in problems for submission in problem.submissions}
    return {
        "languages on the endpoints": ", ".join(sorted(used & known)),
        **{f"setting {name}": str(value) for name, value in chosen.items()},
        **{f"problem {problem.id}": fingerprint(problem) for problem in problems},
    }


def _judge_all(samples: Sequence[Sample], workers: int, runner: Runner) -> bool:
    """Judge all samples, `workers` at a time. Return False if the run was stopped; an error stops it as well."""
    threads = ThreadPoolExecutor(workers, thread_name_prefix="sample")
    futures: set[Future[None]] = {threads.submit(judge_problem, sample) for sample in samples}
    try:
        # In short waits, so that the main thread takes signals meanwhile.
        while wait(futures, timeout=0.2, return_when=FIRST_EXCEPTION).not_done:
            if any(future.done() and future.exception() for future in futures):
                runner.stop()
                break
    finally:
        for future in futures:
            future.cancel()
        threads.shutdown(wait=True)
    errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
    for error in errors:
        if not isinstance(error, Stopped):
            raise error
    return not errors and not any(future.cancelled() for future in futures)


@dataclass(slots=True)
class _Told:
    """Which signal told a run to stop; 0: none."""

    signal: int = 0


@contextmanager
def _stop_on_signal(runner: Runner, progress: Progress) -> Iterator[_Told]:
    """Stop cleanly at the first SIGINT or SIGTERM; at the second, die at once: the store bears it."""
    told = _Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def stop(number: int, frame: FrameType | None) -> None:
        told.signal = number
        for each in signals:
            signal.signal(each, signal.SIG_DFL)
        progress.say("stopping: programs that run are let end; once more to stop at once")
        runner.stop()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield told
    finally:
        for each in signals:
            signal.signal(each, before[each])
